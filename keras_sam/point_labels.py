"""Labels of prompt points."""

FOREGROUND, BACKGROUND = 1, 0
NOT_A_POINT = -1  # learned token that replaces a missing box, as in Meta's model
TOP_LEFT, BOTTOM_RIGHT = 2, 3  # corners of a box
PADDING = -10  # ignored by attention
