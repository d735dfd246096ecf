package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

func exportCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "export",
		Short: "Prints what is managed as config",
		Long: `
Prints the managed definitions as config: JSON, which import takes, or a Caddyfile.
In the place of secrets there are placeholders such as {env.AI_GATEWAY_...}.`,
	}, export)
	cmd.Flags().String("format", "json", "json, or caddyfile")
	complete(cmd, "format", "json", "caddyfile")
	return cmd
}

// export prints GET export.
func export(s *session, cmd *cobra.Command, _ []string) error {
	form := option(cmd, "format")
	if form != "json" && form != "caddyfile" {
		return misused("--format must be json or caddyfile, not %q", form)
	}
	if form == "caddyfile" {
		return s.exportCaddyfile()
	}
	answer, err := s.get("/export", url.Values{"format": {form}})
	if err != nil {
		return err
	}
	names, err := exportedNames(answer)
	if err != nil {
		return err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, answer, "", "  "); err != nil {
		return fmt.Errorf("reading the export: %w", err)
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return names },
		table:  func() error { return s.write(append(bytes.TrimSpace(pretty.Bytes()), '\n')) },
	})
}

// exportCaddyfile prints GET export as a Caddyfile, all of it or nothing.
func (s *session) exportCaddyfile() error {
	switch {
	case s.json:
		return misused("--format caddyfile and --output json exclude each other")
	case s.quiet:
		return misused("--format caddyfile and --quiet exclude each other")
	}
	resp, err := s.openAs("text/caddyfile", &request{method: http.MethodGet, path: "/export", query: url.Values{"format": {"caddyfile"}}, again: true})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return &unreachableError{s.address, false, err}
	}
	if len(text) > maxAnswer {
		return fmt.Errorf("the export is larger than %d MiB", maxAnswer>>20)
	}
	return s.write(text)
}

// exportedNames are the names of what an export holds, kind by kind.
func exportedNames(export []byte) ([]string, error) {
	var all map[registry.Kind]map[string]json.RawMessage
	if err := json.Unmarshal(export, &all); err != nil {
		return nil, fmt.Errorf("reading the export: %w", err)
	}
	var names []string
	for _, kind := range registry.Kinds {
		names = append(names, slices.Sorted(maps.Keys(all[kind]))...)
	}
	return names, nil
}
