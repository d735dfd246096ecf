package admin

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// shade is the foreground colour of a cell. All have codes of one length, which
// keeps the columns of coloured tables straight.
type shade string

const (
	plain  shade = "\x1b[39m"
	green  shade = "\x1b[32m"
	yellow shade = "\x1b[33m"
	red    shade = "\x1b[31m"
)

// table lays out rows of cells in columns.
type table struct {
	columns []string
	rows    [][]cell
}

// cell is a text with a colour; none if it is empty.
type cell struct {
	text  string
	shade shade
}

// text is a cell without a colour of its own.
func text(s string) cell { return cell{text: s} }

// row adds a row.
func (t *table) row(cells ...cell) { t.rows = append(t.rows, cells) }

// write prints the table. In a column with any colour all cells have one.
func (t *table) write(w io.Writer, colour bool) error {
	tw := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	shaded := make([]bool, len(t.columns))
	header := make([]cell, len(t.columns))
	for i, name := range t.columns {
		header[i] = text(name)
		for _, row := range t.rows {
			shaded[i] = shaded[i] || colour && row[i].shade != ""
		}
	}
	for _, row := range append([][]cell{header}, t.rows...) {
		for i, c := range row {
			s := clean(c.text)
			if shaded[i] {
				if c.shade == "" {
					c.shade = plain
				}
				s = string(c.shade) + s + string(plain)
			}
			end := "\t"
			if i == len(row)-1 {
				end = "\n"
			}
			fmt.Fprint(tw, s+end)
		}
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return nil
}

// clean makes a text fit for a cell: it came over the network, and might steer the
// terminal.
func clean(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(printableRune, s)
}

// cleanLines makes a text of several lines fit to be shown.
func cleanLines(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return printableRune(r)
	}, s)
}

func printableRune(r rune) rune {
	if unprintable(r) {
		return utf8.RuneError
	}
	return r
}

// coloured says whether output to w may have colours: on a terminal that knows
// them, unless NO_COLOR is set (https://no-color.org).
func coloured(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// isTerminal says whether a person reads what is written to w, or types what is read
// from it.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// moment writes a time for people.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// remaining writes the time from now until t in its two largest units.
func remaining(now, t time.Time) string {
	d := max(t.Sub(now), 0).Round(time.Second)
	days, hours := int(d.Hours())/24, int(d.Hours())%24
	minutes, seconds := int(d.Minutes())%60, int(d.Seconds())%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, seconds)
	default:
		return fmt.Sprintf("%ds", seconds)
	}
}
