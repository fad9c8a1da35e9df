"""Pictures of groceries, drawn by nothing but code: `samples.draw.draw(name, seed, size)`.

`surfaces` and `produce` build a piece as surfaces in space, `cartons` folds one from printed plates; `stamps` looks at
a piece once from one side and keeps what it saw, `kinds` says which pieces there are; `stage` puts stamps where they
are nearest, `light` shines on them, `grounds` paints what is around; `scenes` puts all that together, and `photo`
spoils it a little, as a phone does.
"""
