package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/probe"
)

func testCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "test [MODEL...]",
		Short: "Asks the sources of models a short question",
		Long: `
Finds out whether models work: the first source of each is asked a short question, or
every source with --all-sources. Without a name all models are tested that are not
disabled. What is asked costs a few tokens; what costs more, such as images, is not
asked and called unsupported.

Exits with 1 if a model has no source that answers; with -q it names those models.`,
		Example: `  caddy ai test
  caddy ai test writer --all-sources --debug`,
	}, testModels, modelWord.orNone().orMore())
	flags := cmd.Flags()
	flags.Bool("all-sources", false, "Ask every source instead of the first one")
	flags.Bool("record", false, "Count like requests, so that a success closes a circuit")
	flags.Bool("debug", false, "Show what was sent and what came, without secrets")
	flags.String("timeout", "", "How long one source may take, 100ms to 2m (default: 30s)")
	return cmd
}

// testModels posts to probes.
func testModels(s *session, cmd *cobra.Command, args []string) error {
	body := probesRequest{Models: args, probeOptions: probeOptions{
		All: given(cmd, "all-sources"), Record: given(cmd, "record"), Debug: given(cmd, "debug"),
	}}
	if limit := option(cmd, "timeout"); limit != "" {
		d, err := caddy.ParseDuration(limit)
		if err != nil {
			return misused("--timeout takes a time such as 30s, not %q", limit)
		}
		body.Timeout = caddy.Duration(d)
	}
	answer, err := s.probes(body)
	if err != nil {
		return err
	}
	var p probes
	if err := json.Unmarshal(answer, &p); err != nil {
		return fmt.Errorf("reading the results: %w", err)
	}
	broken := unusableModels(p.Results)
	err = s.show(printout{
		answer: answer,
		names:  func() []string { return broken },
		table:  func() error { return s.probeTable(&p) },
	})
	if err == nil && len(broken) > 0 {
		return errNeedsCare
	}
	return err
}

// probes asks for the results one by one, to show how many there are, and returns
// what the API answers to whoever wants them all at once.
func (s *session) probes(body probesRequest) ([]byte, error) {
	resp, err := s.openAs("text/event-stream", &request{
		method: http.MethodPost, path: "/probes",
		body: bytes.NewReader(mustWrite(body)), header: http.Header{"Accept": {"text/event-stream"}},
	})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	results, bad := []json.RawMessage{}, 0
	defer s.progress("")
	events := sse.NewScanner(resp.Body, maxAnswer)
	for {
		event, err := events.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // there is a summary at the end
			}
			return nil, &unreachableError{s.address, true, err}
		}
		switch string(event.Name) {
		case "start":
			s.progress("testing")
		case "result":
			var r probe.Result
			if err := json.Unmarshal(event.Data, &r); err != nil {
				return nil, fmt.Errorf("reading a result: %w", err)
			}
			if r.Result != probe.Usable {
				bad++
			}
			results = append(results, bytes.Clone(event.Data))
			s.progress("%d tested, %d not usable: %s", len(results), bad, clean(r.Model))
		case "summary":
			return append(mustWrite(map[string]any{"results": results, "summary": json.RawMessage(event.Data)}), '\n'), nil
		}
	}
}

// unusableModels lists the models of which a source was asked and none has answered.
func unusableModels(results []probe.Result) []string {
	usable, asked := make(map[string]bool), make(map[string]bool)
	var names []string
	for _, r := range results {
		if r.Result == probe.Usable {
			usable[r.Model] = true
		}
		if r.Result != probe.Unsupported && !asked[r.Model] {
			asked[r.Model] = true
			names = append(names, r.Model)
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return usable[name] })
	slices.Sort(names)
	return names
}

// probeTable prints the results by model, and what was sent if that is in them.
func (s *session) probeTable(p *probes) error {
	slices.SortStableFunc(p.Results, func(a, b probe.Result) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), cmp.Compare(a.Source, b.Source))
	})
	t := table{columns: []string{"MODEL", "SOURCE", "RESULT", "LATENCY", "DETAIL"}}
	for i := range p.Results {
		r := &p.Results[i]
		latency := ""
		if r.LatencyMS > 0 {
			latency = fmt.Sprintf("%d ms", r.LatencyMS)
		}
		t.row(text(r.Model), text(r.Source), verdict(r.Result), text(latency), text(because(r.Code, r.Message)))
	}
	if err := t.write(s.out, s.colour); err != nil {
		return err
	}
	for i := range p.Results {
		if err := s.debugOf(&p.Results[i]); err != nil {
			return err
		}
	}
	return s.say("\n%d usable, %d error, %d timeout, %d unsupported", p.Summary.Usable, p.Summary.Error, p.Summary.Timeout, p.Summary.Unsupported)
}

// verdict is the cell of what a probe has found.
func verdict(v probe.Verdict) cell {
	switch v {
	case probe.Usable:
		return cell{string(v), green}
	case probe.Unsupported:
		return cell{string(v), plain}
	default:
		return cell{string(v), red}
	}
}

// because is why something failed: a code and a sentence.
func because(code probe.Code, message string) string {
	parts := []string{strings.ReplaceAll(string(code), "_", " "), message}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// debugOf prints what was sent to a source and what came.
func (s *session) debugOf(r *probe.Result) error {
	if r.Debug == nil {
		return nil
	}
	return s.say("\n%s %s: %s\n> %s\n< %s", clean(r.Model), clean(r.Source), clean(r.Endpoint),
		cleanLines(r.Debug.RequestBody), cleanLines(r.Debug.ResponseBody))
}

func testUpstreamCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "test [UPSTREAM]",
		Short: "Tests an upstream, or a definition that is not there yet",
		Long: `
Tests an upstream in stages: whether it can be reached, takes the credential, and
answers in its format. With a file, or flags, a definition is tested before it is
added; nothing is stored. If a name stands beside it, the secrets that the definition
leaves out are those of that upstream. Exits with 1 if a stage fails.`,
		Example: `  caddy ai upstream test openai
  caddy ai upstream test --provider groq --credential env:GROQ_API_KEY`,
	}, testUpstream, upstreamWord.orNone())
	specFlags(cmd, "upstreams")
	cmd.Flags().String("model", "", "The model to ask, as the upstream calls it (default: one that it lists)")
	return cmd
}

// testUpstream posts to upstreams/test.
func testUpstream(s *session, cmd *cobra.Command, args []string) error {
	body := testRequest{Model: option(cmd, "model")}
	if len(args) > 0 {
		body.Name = args[0]
	}
	if specGiven(cmd) {
		spec, err := s.specOf(cmd, "upstreams", body.Name, false)
		if err != nil {
			return err
		}
		body.Spec = spec
	} else if body.Name == "" {
		return misused("name an upstream, or give its definition with -f or flags; usage: %s", cmd.UseLine())
	}
	answer, err := s.send(&request{method: http.MethodPost, path: "/upstreams/test"}, body)
	if err != nil {
		return err
	}
	var result probe.StageResult
	if err := json.Unmarshal(answer, &result); err != nil {
		return fmt.Errorf("reading the result: %w", err)
	}
	failed := failedStage(&result)
	err = s.show(printout{
		answer: answer,
		names:  func() []string { return args },
		table:  func() error { return s.stageTable(&result) },
	})
	if err == nil && failed != nil {
		return errNeedsCare
	}
	return err
}

// specGiven says whether a command names anything of a definition.
func specGiven(cmd *cobra.Command) bool {
	if cmd.Flag("file").Changed || cmd.Flag("credential").Changed {
		return true
	}
	return slices.ContainsFunc(specFlagsOf["upstreams"], func(f specFlag) bool { return cmd.Flag(f.name).Changed })
}

// failedStage is the stage at which a test has failed; nil if it has not.
func failedStage(r *probe.StageResult) *probe.Stage {
	i := slices.IndexFunc(r.Stages, func(x probe.Stage) bool { return x.Result == probe.StageFailed })
	if i < 0 {
		return nil
	}
	return &r.Stages[i]
}

// stageTable prints the stages of a test, with what to do about the one that failed.
func (s *session) stageTable(r *probe.StageResult) error {
	t := table{columns: []string{"STAGE", "RESULT", "LATENCY", "DETAIL"}}
	for i := range r.Stages {
		x := &r.Stages[i]
		latency := ""
		if x.LatencyMS > 0 {
			latency = fmt.Sprintf("%d ms", x.LatencyMS)
		}
		t.row(text(x.Name), stageCell(x.Result), text(latency), text(because(x.Code, x.Message)))
	}
	if err := t.write(s.out, s.colour); err != nil {
		return err
	}
	if r.Models > 0 {
		if err := s.say("\nit lists %d models", r.Models); err != nil {
			return err
		}
	}
	if failed := failedStage(r); failed != nil {
		return s.say("\nwhat to do: %s", fixOf(failed.Code))
	}
	return nil
}

func stageCell(result string) cell {
	switch result {
	case probe.StageOK:
		return cell{result, green}
	case probe.StageFailed:
		return cell{result, red}
	default:
		return cell{result, plain}
	}
}
