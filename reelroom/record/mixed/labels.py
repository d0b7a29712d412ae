"""Names in the panes' lower left corners, as sheets to lay over them. Knows no canvas."""

from __future__ import annotations

from PIL import Image

from reelroom.domain.scene import Names
from reelroom.record.mixed.planes import Sheet
from reelroom.record.mixed.text import draw_text


def label(text: str, names: Names, max_width: int) -> Sheet | None:
    """A name on its background, of even size; None when there is nothing to say or no room for a letter."""
    margin = max(2, names.size // 4)
    drawn = draw_text(text, names.size, names.color, max(0, max_width - 2 * margin))
    if drawn.getbbox() is None:
        return None
    size = (min(drawn.width + 2 * margin + 1 & ~1, max_width & ~1), drawn.height + 1 & ~1)
    ground = Image.new("RGBA", size, names.background + f"{round(names.opacity * 255):02x}")
    ground.alpha_composite(drawn, (margin, 0))
    return Sheet(ground)
