"""What a notebook imports: the chapter on apex."""

from helpers.chapters.apex import check, loops, stage
from helpers.chapters.apex.status import apex_status
from helpers.chapters.apex.widget import ApexMigration

__all__ = ["ApexMigration", "apex_status", "check", "loops", "stage"]
