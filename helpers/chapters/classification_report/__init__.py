"""What a notebook imports: the chapter on the classification report."""

from helpers.chapters.classification_report import check
from helpers.chapters.classification_report.batches import BatchMeans
from helpers.chapters.classification_report.widget import ReportFromMatrix

__all__ = ["BatchMeans", "ReportFromMatrix", "check"]
