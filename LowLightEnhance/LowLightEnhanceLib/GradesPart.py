"""The scales of a grading: one row of buttons for each criterion."""

import qt
from slicer.i18n import tr as _


class GradesPart:
    """Rows that follow what the worker asks.

    Args:
        layout: where the rows go. changed: called when a grade was given or taken back.
    """

    def __init__(self, layout, changed):
        self._layout, self._changed = layout, changed
        self._criteria, self._rows, self._titles, self._asked = [], [], [], None

    @property
    def given(self):
        """Grades by the keys of their criteria, as far as they are given."""
        found = {}
        for criterion, (_row, buttons) in zip(self._criteria, self._rows):
            for value, button in buttons:
                if button.checked:
                    found[criterion["key"]] = value
        return found

    @property
    def complete(self):
        """Whether every criterion has its grade."""
        return bool(self._rows) and len(self.given) == len(self._rows)

    def ask(self, criteria, scale):
        """Show a row for each criterion, none graded yet."""
        if (criteria, scale) != self._asked:
            self._build(criteria, scale)
        for _row, buttons in self._rows:
            group = buttons[0][1].group()
            group.setExclusive(False)
            for _value, button in buttons:
                button.checked = False
            group.setExclusive(True)
        self._mark()

    def enable(self, enabled):
        """Whether grades can be given now."""
        for row, _buttons in self._rows:
            row.enabled = enabled

    def grade(self, value):
        """Grade the next criterion that has no grade yet."""
        for _row, buttons in self._rows:
            if not any(button.checked for _value, button in buttons):
                for number, button in buttons:
                    if number == value:
                        button.click()
                return

    def takeBack(self):
        """Take the last grade back."""
        for _row, buttons in reversed(self._rows):
            if any(button.checked for _value, button in buttons):
                group = buttons[0][1].group()
                group.setExclusive(False)
                for _value, button in buttons:
                    button.checked = False
                group.setExclusive(True)
                self._graded()
                return

    def _build(self, criteria, scale):
        for row, _buttons in self._rows:
            self._layout.removeWidget(row)
            row.deleteLater()
        self._criteria, self._asked, self._rows, self._titles = criteria, (criteria, scale), [], []
        for criterion in criteria:
            row = qt.QWidget()
            lines = qt.QVBoxLayout(row)
            lines.setContentsMargins(0, 0, 0, 4)
            lines.setSpacing(2)
            title = qt.QLabel()
            title.wordWrap = True
            title.toolTip = criterion["text"]
            lines.addWidget(title)
            line = qt.QHBoxLayout()
            worst, best = qt.QLabel(criterion["worst"]), qt.QLabel(criterion["best"])
            # All scales below each other.
            for label, end in ((worst, "worst"), (best, "best")):
                label.minimumWidth = max(label.fontMetrics().horizontalAdvance(other[end]) for other in criteria)
            line.addWidget(worst)
            line.addStretch(1)
            group, buttons = qt.QButtonGroup(row), []
            for value in scale:
                button = qt.QRadioButton(str(value))
                button.toolTip = _("{title}: {value}, from 1 ({worst}) to {most} ({best})").format(
                    title=criterion["title"],
                    value=value,
                    worst=criterion["worst"],
                    most=scale[-1],
                    best=criterion["best"],
                )
                button.connect("clicked()", self._graded)
                group.addButton(button)
                line.addWidget(button)
                buttons.append((value, button))
            line.addStretch(1)
            line.addWidget(best)
            lines.addLayout(line)
            self._layout.addWidget(row)
            self._rows.append((row, buttons))
            self._titles.append(title)

    def _graded(self, *_unused):
        self._mark()
        self._changed()

    def _mark(self):
        """Show which criterion the next key grades."""
        found = False
        for criterion, title, (_row, buttons) in zip(self._criteria, self._titles, self._rows):
            following = not found and not any(button.checked for _value, button in buttons)
            found = found or following
            text = f"<b>{criterion['title']}</b>: {criterion['text']}"
            title.text = f'<span style="color: #2f6fb3;">▸ {text}</span>' if following else text
