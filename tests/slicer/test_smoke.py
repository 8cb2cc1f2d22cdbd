import qt, slicer
def test_load(qtbot):
    import LowLightEnhance
    w = LowLightEnhance.LowLightEnhanceWidget()
    w.parent.resize(430, 1000)
    w.parent.show()
    qtbot.waitExposed(w.parent)
    w.parent.grab().save("/tmp/panel.png")
    w.cleanup()
