"""Files and folders: whole or not at all, never over an input, found by their facts.

Nothing here knows what the files hold.
"""

from voltween.storage.digests import array_digest as array_digest
from voltween.storage.digests import bytes_digest as bytes_digest
from voltween.storage.digests import content_digest as content_digest
from voltween.storage.digests import facts_digest as facts_digest
from voltween.storage.digests import stream_digest as stream_digest
from voltween.storage.digests import text_digest as text_digest
from voltween.storage.escaping import csv_cell as csv_cell
from voltween.storage.escaping import latex as latex
from voltween.storage.escaping import markdown as markdown
from voltween.storage.escaping import terminal as terminal
from voltween.storage.files import PathLike as PathLike
from voltween.storage.files import check_free_space as check_free_space
from voltween.storage.files import check_suffix as check_suffix
from voltween.storage.files import existing_file as existing_file
from voltween.storage.files import exists as exists
from voltween.storage.files import file_name as file_name
from voltween.storage.files import folder_of as folder_of
from voltween.storage.files import named as named
from voltween.storage.files import naming as naming
from voltween.storage.files import output_folder as output_folder
from voltween.storage.files import scratch_file as scratch_file
from voltween.storage.files import unwritable as unwritable
from voltween.storage.files import whole_file as whole_file
from voltween.storage.finished import Facts as Facts
from voltween.storage.finished import Finished as Finished
from voltween.storage.folders import cache_folder as cache_folder
from voltween.storage.folders import check_result_folder as check_result_folder
from voltween.storage.folders import whole_folder as whole_folder
from voltween.storage.inputs import ZARR_MARKS as ZARR_MARKS
from voltween.storage.inputs import add_inputs as add_inputs
from voltween.storage.inputs import check_is_no_input as check_is_no_input
from voltween.storage.inputs import files_of as files_of
from voltween.storage.inputs import folder_and_series as folder_and_series
from voltween.storage.inputs import is_there as is_there
from voltween.storage.inputs import reading as reading
from voltween.storage.locks import alone_in as alone_in
from voltween.storage.store import Draft as Draft
from voltween.storage.store import Store as Store
from voltween.storage.text_files import check_numbers as check_numbers
from voltween.storage.text_files import csv_text as csv_text
from voltween.storage.text_files import parsed_json as parsed_json
from voltween.storage.text_files import read_columns as read_columns
from voltween.storage.text_files import read_json as read_json
from voltween.storage.text_files import read_table as read_table
from voltween.storage.text_files import read_toml as read_toml
from voltween.storage.text_files import write_if_changed as write_if_changed
from voltween.storage.workspaces import workspace as workspace
