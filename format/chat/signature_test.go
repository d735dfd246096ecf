package chat

import "testing"

func TestSignaturesTravel(t *testing.T) {
	for _, signature := range []string{"", "abc==", "a.b.c", "with \" and \\"} {
		origin, got, ok := UntagSignature(TagSignature("gemini", Quote(signature)))
		if !ok || origin != "gemini" || got.String() != signature {
			t.Errorf("%q came back as %q of %q, %v", signature, got, origin, ok)
		}
	}
}

func TestForeignSignaturesAreNotTagged(t *testing.T) {
	for _, text := range []string{"", "abc", "aigw1.", "aigw1.gemini", "aigw1..x", "xaigw1.gemini.a"} {
		if origin, got, ok := UntagSignature(Quote(text)); ok {
			t.Errorf("%q is read as %q of %q", text, got, origin)
		}
	}
	if _, _, ok := UntagSignature(nil); ok {
		t.Error("an absent signature is tagged")
	}
}
