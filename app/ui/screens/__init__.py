"""The pages themselves: `page` of each file runs from top to bottom whenever its page is shown or touched."""
