"""Reader studies: readers judge enhanced images blindly, and their judgement is analysed and fed back.

`making` makes a study file, `reading` asks its items one after the other, `serving` shows them in a browser, `analysis`
and `report` say what came out, `calibrating` turns it into default strengths, and `observers` simulates readers, for
tests and for planning.
"""
