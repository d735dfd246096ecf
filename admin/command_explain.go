package admin

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

func explainCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "explain MODEL [--format FORMAT] [--file FILE]",
		Short: "Tells where a request for a model would go, and why",
		Long: `
Tells in which order the sources of a model would be tried, and why each of them is
used or skipped. Nothing is sent. Exits with 1 if no source would be tried.`,
	}, explain, modelWord)
	cmd.Flags().String("format", "", "The client's format (default: openai_chat)")
	cmd.Flags().StringP("file", "f", "", "The request's body, for what depends on it; - for standard input")
	var formats []string
	for _, f := range upstream.KnownFormats() {
		formats = append(formats, string(f))
	}
	complete(cmd, "format", formats...)
	return cmd
}

// explain posts to explain.
func explain(s *session, cmd *cobra.Command, args []string) error {
	request, err := s.readDocument(option(cmd, "file"))
	if err != nil {
		return err
	}
	answer, err := s.post("/explain", Question{Model: args[0], Format: format.ID(option(cmd, "format")), Request: request})
	if err != nil {
		return err
	}
	var e Explanation
	if err := json.Unmarshal(answer, &e); err != nil {
		return fmt.Errorf("reading the explanation: %w", err)
	}
	err = s.show(printout{
		answer: answer,
		names:  e.tried,
		table:  func() error { return s.explanationTable(&e) },
	})
	if err != nil {
		return err
	}
	if !e.Usable {
		return errNeedsCare
	}
	return nil
}

// tried lists the sources in the order in which they would be tried.
func (e *Explanation) tried() []string {
	var ids []string
	for i := range e.Sources {
		if e.Sources[i].Position > 0 {
			ids = append(ids, e.Sources[i].ID)
		}
	}
	return ids
}

// explanationTable prints the sources, numbered as they would be tried.
func (s *session) explanationTable(e *Explanation) error {
	fmt.Fprintf(s.out, "model %s (%s, %s), format %s, operation %s\n\n",
		clean(e.Model), clean(e.Mode), e.order(), clean(string(e.Format)), clean(string(e.Operation)))
	t := table{columns: []string{"ORDER", "SOURCE", "PRIORITY", "WEIGHT", "IN FLIGHT", "LATENCY", "WHY NOT"}}
	for i := range e.Sources {
		x := &e.Sources[i]
		latency := ""
		if x.LatencyMS > 0 {
			latency = fmt.Sprintf("%d ms", x.LatencyMS)
		}
		t.row(position(x), text(x.ID), text(fmt.Sprint(x.Priority)), text(fmt.Sprint(x.Weight)),
			text(fmt.Sprint(x.InFlight)), text(latency), text(whyNot(x)))
	}
	if err := t.write(s.out, s.colour); err != nil {
		return err
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(s.out, "\na source may be usable again in %d s\n", e.RetryAfter)
	}
	return nil
}

// order is how the sources of one priority are ordered.
func (e *Explanation) order() string {
	if e.Sticky {
		return "sticky"
	}
	return clean(e.Policy)
}

// position is when a source would be tried.
func position(x *routing.ExplainedSource) cell {
	switch {
	case x.Position == 0:
		return cell{"skipped", red}
	case x.Probe:
		return cell{fmt.Sprint(x.Position, " (probe)"), yellow}
	default:
		return cell{fmt.Sprint(x.Position), green}
	}
}

// whyNot is why a source would be skipped, or what else there is to know.
func whyNot(x *routing.ExplainedSource) string {
	parts := []string{x.Reason, x.Detail}
	if !x.Until.IsZero() {
		parts = append(parts, "until "+moment(x.Until))
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}
