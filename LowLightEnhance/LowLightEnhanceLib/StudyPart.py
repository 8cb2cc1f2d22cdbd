"""The tab “Reader study”: a study is read blindly, with the keyboard alone if one likes."""

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from . import Environment, Settings
from .GradesPart import GradesPart
from .Steps import Steps
from .StudyKeys import StudyKeys
from .StudySitting import Sitting
from .StudyViews import StudyViews, taken

_ALIVE = 30_000
"""Milliseconds between signs of life, while an item is looked at."""
_LOOK = 300
"""Milliseconds after which new pictures can be answered: a double click shall not answer what nobody has seen."""


class StudyPart:
    """From choosing a reader to the last answer.

    Attributes:
        page: "start", "reading", "paused" or "done". Pictures come and go with "reading".
    """

    def __init__(self, panel):
        self._panel = panel
        self.widget = slicer.util.loadUI(str(Environment.MODULE_FOLDER / "Resources" / "UI" / "ReaderStudy.ui"))
        self.ui = slicer.util.childWidgetVariables(self.widget)
        panel.addTab(_("Reader study"), self.widget)
        self.sitting, self.views = Sitting(panel.logic), StudyViews()
        self._steps, self._seen, self.page = None, False, "start"
        ui = self.ui
        ui.studyEdit.text = Settings.read("study", "")
        ui.studyBrowseButton.connect("clicked()", self._browse)
        ui.studyOpenButton.connect("clicked()", self.open)
        ui.studyEdit.connect("returnPressed()", self.open)
        ui.beginButton.connect("clicked()", self.begin)
        ui.takeOverButton.connect("clicked()", lambda *_unused: self.begin(takeOver=True))
        ui.readersList.connect("currentRowChanged(int)", self._readerChanged)
        ui.readersList.connect("itemActivated(QListWidgetItem*)", self.begin)
        ui.leftButton.connect("clicked()", lambda *_unused: self.choose("left"))
        ui.rightButton.connect("clicked()", lambda *_unused: self.choose("right"))
        ui.saveButton.connect("clicked()", self.save)
        for button in (ui.undoButton, ui.undoDoneButton):
            button.connect("clicked()", self.undo)
        ui.pauseButton.connect("clicked()", self.pause)
        ui.resumeButton.connect("clicked()", self.resume)
        for button in (ui.leaveButton, ui.finishButton):
            button.connect("clicked()", self.leave)
        ui.zoomInButton.connect("clicked()", lambda *_unused: self.views.zoom(1.25))
        ui.zoomOutButton.connect("clicked()", lambda *_unused: self.views.zoom(0.8))
        ui.viewResetButton.connect("clicked()", self.resetView)
        for slider in (ui.studyBrightnessSlider, ui.studyContrastSlider):
            slider.connect("valueChanged(int)", self._windowed)
        self.grades = GradesPart(ui.gradesGroup.layout(), self.refresh)
        self.keys = StudyKeys(self)
        self._alive = qt.QTimer()
        self._alive.setInterval(_ALIVE)
        self._alive.connect("timeout()", lambda *_unused: self.sitting.alive(self._failed))
        self._look = qt.QTimer()
        self._look.setSingleShot(True)
        self._look.setInterval(_LOOK)
        self._look.connect("timeout()", self._looked)
        panel.ui.tabs.connect("currentChanged(int)", self._tabChanged)
        self._page("start")

    @property
    def reading(self):
        """Whether an item is being looked at."""
        return self.page == "reading" and bool(self.views.tags)

    @property
    def canAnswer(self):
        """Whether the present item can be answered: its pictures have been there for a moment."""
        return self.reading and self._seen and not self.sitting.busy

    def refresh(self):
        """Enable what can be done now."""
        ui, item, idle = self.ui, self.sitting.item, not self.sitting.busy
        ui.beginButton.enabled = idle and ui.readersList.currentRow >= 0
        ui.studyOpenButton.enabled = idle
        ui.leftButton.enabled = ui.rightButton.enabled = self.canAnswer
        self.grades.enable(self.canAnswer)
        ui.saveButton.enabled = self.canAnswer and self.grades.complete
        ui.undoButton.enabled = self.canAnswer and item is not None and item["done"] > 0
        ui.pauseButton.enabled = self.canAnswer
        ui.resumeButton.enabled = ui.undoDoneButton.enabled = idle
        self.keys.enable()

    # What a reader does

    def open(self, *_unused):
        """Check the study and list its readers."""
        path = self.ui.studyEdit.text.strip()
        if not path:
            self.tell(_("Choose the file of a study first. “lowlight study new” makes one."), "warning")
            return
        self.tell("")
        self.sitting.open(str(Path(path).expanduser().absolute()), self._opened, self._failed)
        self.refresh()

    def begin(self, *_unused, takeOver=False):
        """Show the first item of the chosen reader that has no answer yet."""
        row = self.ui.readersList.currentRow
        if row < 0 or self.sitting.busy:
            return
        self.tell("")
        self.sitting.begin(self.sitting.readers[row]["reader"], self._shown, self._failed, takeOver)
        self.refresh()

    def choose(self, side):
        """Answer a pair: "left" or "right"."""
        if self.canAnswer and self.sitting.item["task"] == "pair":
            self._seen = False
            self.sitting.answer(self._shown, self._failed, side=side)
            self.refresh()

    def save(self, *_unused):
        """Answer a grading with the grades that are given."""
        if self.canAnswer and self.sitting.item["task"] == "rating" and self.grades.complete:
            self._seen = False
            self.sitting.answer(self._shown, self._failed, grades=self.grades.given)
            self.refresh()

    def undo(self, *_unused):
        """Let the last item come again."""
        if self.canAnswer or self.page == "done":
            self._seen = False
            self.sitting.undo(self._shown, self._failed)
            self.refresh()

    def pause(self, *_unused):
        """Stop the clock and hide the pictures."""
        if self.page == "reading" and self.sitting.reading:
            self._blank()
            self._page("paused")
            self.sitting.pause(self._shown, self._failed)
            self.refresh()

    def resume(self, *_unused):
        """Show the item again."""
        if self.page == "paused" and not self.sitting.busy:
            self.tell("")
            self.sitting.resume(self._shown, self._failed)
            self.refresh()

    def leave(self, *_unused):
        """Close the study; it can be gone on with at any time."""
        self._blank()
        self.views.close()
        self.sitting.end()
        self._page("start")
        self.open()

    def resetView(self, *_unused):
        """Whole pictures, as they are."""
        for slider in (self.ui.studyBrightnessSlider, self.ui.studyContrastSlider):
            slider.value = 0
        self.views.reset()

    def away(self):
        """Nobody looks any more: the module was left."""
        self.pause()

    def sceneCloses(self):
        """Pictures are gone with the scene; the study goes on."""
        self.pause()
        self.views.forget()

    def close(self):
        """The panel closes."""
        self._blank()
        self.views.close()
        self.keys.close()

    def tell(self, text, kind="problem"):
        """Show a message of this tab. It stays out of the log: a study's name is nobody else's business."""
        self._panel.showMessage(self.ui.studyMessage, text, kind)

    # What comes of it

    def _opened(self):
        ui, sitting = self.ui, self.sitting
        Settings.write("study", ui.studyEdit.text.strip())
        ui.studyTitle.text = _("“{title}”. Choose your reader number:").format(title=sitting.title)
        ui.readersList.clear()
        for reader in sitting.readers:
            far = _("all done") if reader["done"] == reader["total"] else f"{reader['done']} / {reader['total']}"
            ui.readersList.addItem(f"{reader['reader']}    {far}")
        names = [reader["reader"] for reader in sitting.readers]
        last = Settings.read("reader", "")
        ui.readersList.setCurrentRow(names.index(last) if last in names else -1)
        self._page("start")

    def _shown(self):
        """The worker told what comes next: all before it is on disk."""
        item = self.sitting.item
        Settings.write("reader", item["reader"])
        count = _("{done} of {total} items are answered and kept.").format(done=item["done"], total=item["total"])
        self.ui.pausedLabel.text = _("Paused. {count} The clock of this item stands still.").format(count=count)
        if item["paused"]:
            self._page("paused")
        elif item["item"] is None:
            self._blank()
            self.ui.doneLabel.text = _("All done. Thank you, {reader}: {count}").format(
                reader=item["reader"], count=count
            )
            self._page("done")
        else:
            self._fetch(item)

    def _fetch(self, item):
        images = []
        paths = [str(self._panel.logic.worker.folder / name) for name in item["pictures"]]
        self._steps = Steps(taken(paths, images), lambda: self._fetched(item, images), self._notFetched)

    def _fetched(self, item, images):
        ui, self._steps = self.ui, None
        if item is not self.sitting.item or not self._onTop():
            # Another answer came meanwhile, or the reader has left: the clock must not run on.
            self._page("paused")
            self.sitting.pause(self._shown, self._failed)
            return
        pair = item["task"] == "pair"
        ui.studyProgress.maximum, ui.studyProgress.value = item["total"], item["done"]
        ui.studyProgress.format = f"{item['reader']}:  {item['done'] + 1} / {item['total']}"
        ui.questionLabel.text = item.get("question", "")
        for widget in (ui.questionLabel, ui.leftButton, ui.rightButton):
            widget.visible = pair
        for widget in (ui.gradesGroup, ui.saveButton):
            widget.visible = not pair
        self.grades.ask(item.get("criteria", []), item.get("scale", []))
        ui.viewGroup.title = _("View (the same for both images)") if pair else _("View")
        ui.keysLabel.text = self.keys.explained(item["task"])
        for slider in (ui.studyBrightnessSlider, ui.studyContrastSlider):
            slider.value = 0
        self.views.show(images)
        self._page("reading")
        self._alive.start()
        self._look.start()

    def _notFetched(self, error):
        self._steps = None
        self._blank()
        self._page("paused")
        self.tell(_("The images could not be shown: {reason}. Press Go on.").format(reason=error))

    def _failed(self, problem):
        self.tell(str(problem))
        elsewhere = problem.kind == "reader-elsewhere"
        if problem.kind in ("worker-ended", "no-sitting") and self.sitting.reading:
            self._blank()
            self._page("paused")
        elif elsewhere or not self.sitting.reading:
            self._blank()
            self._page("start")
            self.ui.takeOverButton.visible = elsewhere
        else:
            # The answer was not taken, and the item is still the one that is shown.
            self._seen = self.reading
            self.refresh()

    def _looked(self, *_unused):
        self._seen = self.reading
        self.refresh()

    def _blank(self):
        if self._steps is not None:
            self._steps.cancel()
            self._steps = None
        self._look.stop()
        self._alive.stop()
        self._seen = False
        self.views.blank()

    def _page(self, name):
        ui, self.page = self.ui, name
        for page in ("start", "reading", "paused", "done"):
            getattr(ui, f"{page}Page").visible = page == name
        ui.takeOverButton.visible = False
        started = name == "start" and bool(self.sitting.path)
        for widget in (ui.studyTitle, ui.readersList, ui.beginButton):
            widget.visible = started
        self.refresh()

    def _onTop(self):
        tabs = self._panel.ui.tabs
        return tabs.currentIndex == tabs.indexOf(self.widget)

    def _tabChanged(self, *_unused):
        if not self._onTop():
            self.pause()

    def _readerChanged(self, *_unused):
        self.ui.takeOverButton.visible = False
        self.refresh()

    def _windowed(self, *_unused):
        ui = self.ui
        self.views.window(ui.studyBrightnessSlider.value / 100, ui.studyContrastSlider.value / 100)

    def _browse(self, *_unused):
        chosen = qt.QFileDialog.getOpenFileName(
            self.widget, _("Reader study"), self.ui.studyEdit.text, _("Reader studies (*.study)")
        )
        # PySide gives the filter, too.
        path = chosen[0] if isinstance(chosen, tuple) else chosen
        if path:
            self.ui.studyEdit.text = path
            self.open()
