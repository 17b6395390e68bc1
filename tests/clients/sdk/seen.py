"""What an application got out of its SDK."""

from dataclasses import dataclass, field


@dataclass
class SdkResult:
    """The text, the kinds of everything that was handed over, the ids where the SDK tells them, the error."""

    text: str = ""
    kinds: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    error: str = ""

    def note(self, kind: str, text: str | None = "", event_id: str = "") -> None:
        """Take one event."""
        self.kinds.append(kind)
        self.text += text or ""
        if event_id:
            self.ids.append(event_id)

    @property
    def content(self) -> tuple[str, list[str], str]:
        """What has to be the same however it came: everything but the ids."""
        return self.text, self.kinds, self.error
