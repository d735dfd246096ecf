package chat

import "slices"

// LossReason says what happened to a field that a translation could not keep.
type LossReason string

// The reasons of a loss.
const (
	// Unsupported fields have no place in the target's format and were dropped.
	Unsupported LossReason = "unsupported"
	// Clamped values were moved into the target's range.
	Clamped LossReason = "clamped"
	// Approximated facts were expressed in another way.
	Approximated LossReason = "approximated"
)

// Loss is one field that a translation dropped or changed.
type Loss struct {
	// Path is the field in the client's words, such as "frequency_penalty".
	Path   string
	Reason LossReason
	// Meaning says that the loss changes what the request means, so that
	// on_unsupported error refuses it.
	Meaning bool
}

// Report lists what a translation dropped or changed; nil if nothing was.
type Report []Loss

// maxLosses bounds a report of losses that change no meaning.
const maxLosses = 64

// Add reports a loss, once. Of those that do not change the meaning a report holds
// a few dozen at most: a hostile request could have any number.
func (r *Report) Add(l Loss) {
	if len(*r) >= maxLosses && !l.Meaning || slices.Contains(*r, l) {
		return
	}
	*r = append(*r, l)
}

// Drop reports a field that was left out.
func (r *Report) Drop(path string) { *r = append(*r, Loss{Path: path, Reason: Unsupported}) }

// Lose reports a field that was left out although it changes the meaning.
func (r *Report) Lose(path string) {
	*r = append(*r, Loss{Path: path, Reason: Unsupported, Meaning: true})
}

// Clamp reports a value that was moved into the target's range.
func (r *Report) Clamp(path string) { *r = append(*r, Loss{Path: path, Reason: Clamped}) }

// Approximate reports a fact that was expressed in another way.
func (r *Report) Approximate(path string) {
	*r = append(*r, Loss{Path: path, Reason: Approximated})
}
