"""The tables of a study file (SQLite) and its version."""

from __future__ import annotations

FORMAT = 1
"""Version of the tables, in `PRAGMA user_version`; a reader of an older program refuses a higher one."""

APPLICATION = 0x4C4C5253
"""`PRAGMA application_id` of a study file: "LLRS"."""

TABLES = """
CREATE TABLE study (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE image (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,             -- as it was named when the study was made
    sha256 TEXT NOT NULL,           -- of that file
    modality TEXT NOT NULL
);
CREATE TABLE version (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('original', 'enhanced', 'other')),
    brightness REAL,                -- strengths of an enhanced version
    denoise REAL,
    shown INTEGER NOT NULL CHECK (shown IN (0, 1))  -- 0: kept, but no reader is asked about it
);
CREATE TABLE picture (
    image INTEGER NOT NULL REFERENCES image,
    version INTEGER NOT NULL REFERENCES version,
    sha256 TEXT NOT NULL,           -- of png
    png BLOB NOT NULL,              -- as displayed: 0 black, the largest value white
    PRIMARY KEY (image, version)
);
CREATE TABLE reader (
    id TEXT PRIMARY KEY,
    simulated INTEGER NOT NULL CHECK (simulated IN (0, 1)),
    sitting TEXT,                   -- who reads at the moment; NULL: nobody
    seen REAL                       -- when that one was last heard of, seconds since 1970
);
CREATE TABLE item (
    id INTEGER PRIMARY KEY,
    reader TEXT NOT NULL REFERENCES reader,
    position INTEGER NOT NULL,
    task TEXT NOT NULL CHECK (task IN ('pair', 'rating')),
    image INTEGER NOT NULL REFERENCES image,
    first INTEGER NOT NULL REFERENCES version,   -- left, or the one that is graded
    second INTEGER REFERENCES version,           -- right
    repeats INTEGER REFERENCES item,             -- the earlier item that this one asks again
    UNIQUE (reader, position)
);
CREATE TABLE answer (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    item INTEGER NOT NULL REFERENCES item,
    chosen INTEGER REFERENCES version,           -- of a pair
    seconds REAL NOT NULL CHECK (seconds >= 0),  -- that the item was looked at, pauses left out
    given TEXT NOT NULL,                         -- UTC
    undone TEXT                                  -- UTC; NULL: it stands
);
CREATE UNIQUE INDEX standing ON answer (item) WHERE undone IS NULL;
CREATE TABLE grade (
    answer INTEGER NOT NULL REFERENCES answer,
    question TEXT NOT NULL,
    value INTEGER NOT NULL CHECK (value BETWEEN 1 AND 5),
    PRIMARY KEY (answer, question)
);
"""

CONTRADICTIONS = {
    "a strength of an enhanced version is no number": (
        "SELECT 1 FROM version WHERE kind = 'enhanced' AND "
        "(typeof(brightness) NOT IN ('real', 'integer') OR typeof(denoise) NOT IN ('real', 'integer'))"
    ),
    "an item shows one version where it has to show two, or two where one": (
        "SELECT 1 FROM item WHERE (task = 'pair') <> (second IS NOT NULL) OR first = second"
    ),
    "an item asks again what another reader was asked, or something else": (
        "SELECT 1 FROM item JOIN item AS earlier ON earlier.id = item.repeats WHERE earlier.reader <> item.reader OR "
        "earlier.task <> item.task OR earlier.image <> item.image"
    ),
    "an answer chose a version that its item did not show": (
        "SELECT 1 FROM answer JOIN item ON item.id = answer.item WHERE CASE task WHEN 'pair' THEN "
        "chosen IS NULL OR chosen NOT IN (first, second) ELSE chosen IS NOT NULL END"
    ),
    "an answer's time is no number": "SELECT 1 FROM answer WHERE typeof(seconds) NOT IN ('real', 'integer')",
    "a grade is no whole number from 1 to 5": (
        "SELECT 1 FROM grade WHERE typeof(value) <> 'integer' OR value NOT BETWEEN 1 AND 5"
    ),
    "a grading was answered without a grade": (
        "SELECT 1 FROM answer JOIN item ON item.id = answer.item WHERE task = 'rating' AND "
        "NOT EXISTS (SELECT 1 FROM grade WHERE grade.answer = answer.id)"
    ),
    "a pair has grades": (
        "SELECT 1 FROM grade JOIN answer ON answer.id = grade.answer JOIN item ON item.id = answer.item "
        "WHERE task = 'pair'"
    ),
}
"""What `TABLES` alone does not rule out, in words, with a query that finds such rows."""
