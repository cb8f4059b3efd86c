"""Pages for people: HTML files that hold all they need and ask no server for anything.

A page is made from a template and plain values; text in it is shown, never obeyed.
Pages open from disk and can be read without JavaScript. Positions are RAS+ mm.
"""

from voltween.reports.crop import ShownScans as ShownScans
from voltween.reports.crop import scans_to_show as scans_to_show
from voltween.reports.index import INDEX as INDEX
from voltween.reports.index import write_index as write_index
from voltween.reports.index_rows import IndexRow as IndexRow
from voltween.reports.pages import data_uri as data_uri
from voltween.reports.pages import render as render
from voltween.reports.pair import Crop as Crop
from voltween.reports.pair import Facts as Facts
from voltween.reports.pair import Figure as Figure
from voltween.reports.pair import RegisteredPair as RegisteredPair
from voltween.reports.pair import ReportOptions as ReportOptions
from voltween.reports.pair import Viewer as Viewer
from voltween.reports.report import report_page as report_page
