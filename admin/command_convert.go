package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/admin/litellm"
)

func convertCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "convert <command>",
		Short: "Makes a Caddyfile of another gateway's configuration",
	}
	group(cmd)
	cmd.AddCommand(convertLiteLLMCommand())
	return cmd
}

func convertLiteLLMCommand() *cobra.Command {
	return with(&cobra.Command{
		Use:   "litellm FILE",
		Short: "Makes a Caddyfile of a LiteLLM proxy's config.yaml",
		Long: `
Makes a Caddyfile of the configuration of a LiteLLM proxy, config.yaml, or of the
standard input for -. No server is asked, and nothing but the file is read.

The Caddyfile goes to the standard output. What did not map, or not wholly, is listed
on the standard error, with what to do instead; with -o json both are one document,
with -q only the paths of what did not map are printed. Every value of the file is in
the Caddyfile or on the list. Secrets are in neither: variables of the environment
stand in for them.

Exits with 1 if the file cannot be converted. It is no failure that something did not
map: read the list.`,
	}, convertLiteLLM, fileWord)
}

// convertLiteLLM prints what a file becomes.
func convertLiteLLM(s *session, _ *cobra.Command, args []string) error {
	file, err := s.readFile(args[0], litellm.MaxFile)
	if _, missing := errors.AsType[*fs.PathError](err); missing {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	result, failed := litellm.Convert(file)
	if result == nil {
		return fmt.Errorf("converting %s: %w", args[0], failed)
	}
	var answer bytes.Buffer
	enc := json.NewEncoder(&answer)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(result); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	err = s.show(printout{
		answer: answer.Bytes(),
		names:  func() []string { return pathsOf(result.Unmapped) },
		table:  func() error { return s.converted(result) },
	})
	if err == nil && failed != nil {
		err = fmt.Errorf("converting %s: %w", args[0], failed)
	}
	return err
}

// pathsOf are the paths of what did not map.
func pathsOf(notes []litellm.Note) []string {
	paths := make([]string, len(notes))
	for i := range notes {
		paths[i] = notes[i].Path
	}
	return paths
}

// converted prints the Caddyfile, and beside it what did not map.
func (s *session) converted(result *litellm.Result) error {
	if err := s.write([]byte(result.Caddyfile)); err != nil {
		return err
	}
	if len(result.Unmapped) == 0 {
		_, err := fmt.Fprintln(s.notes, "Everything in the file mapped.")
		return err
	}
	if _, err := fmt.Fprintf(s.notes, "Did not map, or not wholly (%d):\n\n", len(result.Unmapped)); err != nil {
		return fmt.Errorf("writing the list: %w", err)
	}
	t := table{columns: []string{"LINE", "PATH", "VALUE", "WHY, AND WHAT TO DO"}}
	for _, n := range result.Unmapped {
		t.row(text(fmt.Sprint(n.Line)), text(n.Path), text(n.Kind), text(n.Reason))
	}
	return t.write(s.notes, false)
}
