"""The data contract: firm panels, support spells, calendars and what is reported about them."""

from exportimpact.data.alignment import NEVER, AlignedSupport
from exportimpact.data.assignment import Assignment
from exportimpact.data.calendar import Calendar
from exportimpact.data.panel import BaselineColumn, Panel

__all__ = ["NEVER", "AlignedSupport", "Assignment", "BaselineColumn", "Calendar", "Panel"]
