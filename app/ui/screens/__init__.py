"""The pages: `page` of each module runs from top to bottom on every interaction."""
