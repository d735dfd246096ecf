// Package schema converts between JSON Schema and the schemas of Gemini, which
// are a subset of OpenAPI 3.0's with types in upper case.
//
// Schemas come from clients: whatever they hold, conversion is bounded in depth
// and in the size of its result, and never fails in another way.
package schema

import (
	"errors"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// ErrTooLarge says that a schema is too deep, or too large once its references
// are inlined.
var ErrTooLarge = errors.New("the schema is too large or nested too deeply once its references are inlined")

// Bounds of a conversion.
const (
	maxDepth  = 64
	maxVisits = 1 << 17 // keywords and values that are looked at, once for each use
	maxSize   = 1 << 20 // bytes of the result
)

// Bounds of all conversions of one request together: a small document can hold
// many schemas that are each as large as they may be.
const (
	allVisits = 1 << 19
	allSize   = 8 << 20
)

// Budget is what the conversions of one request may cost together. The zero value
// is a whole one. It is not safe for concurrent use.
type Budget struct{ visits, size int }

// spend takes the cost of a conversion; false if that is more than is left.
func (b *Budget) spend(visits, size int) bool {
	b.visits += visits
	b.size += size
	return b.visits <= allVisits && b.size <= allSize
}

// losses are what a conversion dropped or changed, each once.
type losses struct{ report chat.Report }

func (l *losses) add(keyword string, reason chat.LossReason) {
	loss := chat.Loss{Path: "schema." + keyword, Reason: reason}
	if !slices.Contains(l.report, loss) {
		l.report = append(l.report, loss)
	}
}
