package caddytest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// The marks around the part of the document that people write.
const (
	handWrittenBegin = "<!-- hand-written: begin -->\n"
	handWrittenEnd   = "<!-- hand-written: end -->\n"
)

// compareDocument holds a document against the results of the matrix, or writes
// it when the tests run with -update.
func (m *matrix) compareDocument(t *testing.T, path string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	document := m.document(handWritten(string(old)))
	if *update {
		if err := os.WriteFile(path, []byte(document), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(old) == document {
		return
	}
	got, want := strings.Split(string(old), "\n"), strings.Split(document, "\n")
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%s differs from the results in line %d; run this test with -update\nit has %s\nwant   %s", path, i+1, got[i], want[i])
		}
	}
	t.Fatalf("%s has %d lines, the results have %d; run this test with -update", path, len(got), len(want))
}

// handWritten is what people wrote into a document.
func handWritten(document string) string {
	_, rest, _ := strings.Cut(document, handWrittenBegin)
	text, _, _ := strings.Cut(rest, handWrittenEnd)
	return text
}

// documentHead says what the tables mean.
const documentHead = `# Formats

This page is made by a test, ` + "`go test ./caddytest -run TestMatrix -update`" + `, which sends
every kind of request from every client format to every upstream format through a
running gateway. The upstream of the test refuses what its vendor would refuse, and
the client of the test checks the answer as its SDK would.

| Word | Format | Clients ask | Name in a config |
|---|---|---|---|
| Chat | OpenAI Chat Completions | ` + "`POST /v1/chat/completions`" + ` | ` + "`openai_chat`" + ` |
| Responses | OpenAI Responses | ` + "`POST /v1/responses`" + ` | ` + "`openai_responses`" + ` |
| Messages | Anthropic Messages | ` + "`POST /v1/messages`" + ` | ` + "`anthropic_messages`" + ` |
| Gemini | Gemini generateContent | ` + "`POST /v1beta/models/{model}:generateContent`" + ` | ` + "`gemini`" + ` |

| In a table | means |
|---|---|
| ✓ | it works |
| lossy | it works, but something of the request was dropped or changed, and the header ` + "`X-Gateway-Warning`" + ` says what |
| 400 | it is refused, since nothing sensible could be sent |
| – | the upstream's format has no such thing; a client whose own has none has no row |

`

// document writes the whole page.
func (m *matrix) document(byHand string) string {
	var b strings.Builder
	b.WriteString(documentHead)
	b.WriteString("## Overview\n\nThe number of features that work for a client (row) on an upstream (column).\n\n")
	writeHeader(&b, "Client")
	for from := range speakers {
		fmt.Fprintf(&b, "| %s |", speakers[from].title)
		for to := range speakers {
			fmt.Fprintf(&b, " %s |", m.summary(from, to))
		}
		b.WriteString("\n")
	}
	group := ""
	for i := range features {
		f := &features[i]
		if f.group != group {
			group = f.group
			fmt.Fprintf(&b, "\n## %s\n\n", group)
			writeHeader(&b, "Feature | Client")
		}
		m.writeRows(&b, f)
	}
	m.writeEndpoints(&b)
	m.writeLosses(&b)
	b.WriteString("\n## Notes\n\n" + handWrittenBegin + byHand + handWrittenEnd)
	return b.String()
}

// writeHeader writes the head of a table whose last columns are the upstreams.
func writeHeader(b *strings.Builder, first string) {
	fmt.Fprintf(b, "| %s |", first)
	for _, s := range speakers {
		fmt.Fprintf(b, " on %s |", s.title)
	}
	b.WriteString("\n|" + strings.Repeat("---|", strings.Count(first, "|")+1+len(speakers)) + "\n")
}

// writeRows writes the rows of a feature: one for the clients that are alike, and
// none for those whose format has no such thing.
func (m *matrix) writeRows(b *strings.Builder, f *feature) {
	clients := map[string][]string{}
	var rows []string
	for from := range speakers {
		row, absent := "", true
		for to := range speakers {
			state := m.cell(f, from, to).state
			row += fmt.Sprintf(" %s |", state)
			absent = absent && state == stateNone
		}
		if absent {
			continue
		}
		clients[row] = append(clients[row], speakers[from].title)
		rows = addNew(rows, row)
	}
	for _, row := range rows {
		who := strings.Join(clients[row], ", ")
		if len(clients[row]) == len(speakers) {
			who = "all"
		}
		fmt.Fprintf(b, "| %s | %s |%s\n", f.title, who, row)
	}
}

// cell finds a cell.
func (m *matrix) cell(f *feature, from, to int) *cell {
	for _, c := range m.cells {
		if c.feature == f && c.from == from && c.to == to {
			return c
		}
	}
	return &cell{state: stateNone}
}

// summary counts the states of all features between two formats.
func (m *matrix) summary(from, to int) string {
	count := map[cellState]int{}
	for i := range features {
		count[m.cell(&features[i], from, to).state]++
	}
	var out []string
	for _, of := range []struct {
		state cellState
		word  string
	}{{statePassed, "✓"}, {stateLossy, "lossy"}, {stateRefused, "refused"}} {
		if n := count[of.state]; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, of.word))
		}
	}
	return strings.Join(out, ", ")
}

// loss is where a warning was seen: by which features, and by the clients of each
// upstream.
type loss struct {
	features []string
	clients  [][]string
}

// writeLosses writes what was reported as dropped or changed.
func (m *matrix) writeLosses(b *strings.Builder) {
	seen := map[string]*loss{}
	for _, c := range m.cells {
		for _, code := range c.losses {
			l := seen[code]
			if l == nil {
				l = &loss{clients: make([][]string, len(speakers))}
				seen[code] = l
			}
			l.features = addNew(l.features, c.feature.title)
			l.clients[c.to] = addNew(l.clients[c.to], c.client().title)
		}
	}
	b.WriteString(lossesHead)
	for _, code := range slices.Sorted(maps.Keys(seen)) {
		var where []string
		for to, clients := range seen[code].clients {
			if len(clients) > 0 {
				where = append(where, strings.Join(clients, ", ")+" on "+speakers[to].title)
			}
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", code, strings.Join(seen[code].features, ", "), strings.Join(where, "; "))
	}
}

// lossesHead stands above the table of losses.
const lossesHead = `
## Losses that the test has seen

What ` + "`X-Gateway-Warning`" + ` said. ` + "`unsupported`" + ` fields were dropped, ` + "`clamped`" + ` values moved
into the range of the upstream, and ` + "`approximated`" + ` ones said in another way.

| Warning | Features | Clients |
|---|---|---|
`

// addNew appends a word that is not there yet.
func addNew(words []string, word string) []string {
	if slices.Contains(words, word) {
		return words
	}
	return append(words, word)
}
