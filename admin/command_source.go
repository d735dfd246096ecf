package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

func sourceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "source <command>", Short: "Shows and changes the sources of models"}
	group(cmd)
	cmd.AddCommand(listSourcesCommand(), addSourceCommand(), setSourceCommand(), removeSourceCommand())
	return cmd
}

func listSourcesCommand() *cobra.Command {
	return with(&cobra.Command{Use: "ls MODEL", Aliases: []string{"list"}, Short: "Lists the sources of a model"}, listSources, modelWord)
}

func addSourceCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:     "add MODEL UPSTREAM UPSTREAM_MODEL",
		Short:   "Adds a source to a model",
		Example: `  caddy ai source add writer anthropic claude-sonnet-4-5 --priority 2`,
	}, addSourceTo, modelWord, upstreamWord, argument{name: "UPSTREAM_MODEL", known: knownUpstreamModels(1)})
	sourceFlags(cmd)
	revisionFlag(cmd)
	dryRun(cmd)
	return cmd
}

func setSourceCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "set MODEL SOURCE",
		Short: "Changes a source of a model",
		Long: `
Changes a source of a model: what no flag names stays as it is. With --if-revision
nothing is changed if somebody else has changed the model before.`,
		Example: `  caddy ai source set writer openai:gpt-4o --weight 30`,
	}, setSource, modelWord, sourceWord)
	sourceFlags(cmd)
	revisionFlag(cmd)
	dryRun(cmd)
	return cmd
}

func removeSourceCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:     "rm MODEL SOURCE",
		Aliases: []string{"delete"},
		Short:   "Takes a source from a model",
	}, removeSourceFrom, modelWord, sourceWord)
	revisionFlag(cmd)
	dryRun(cmd)
	return cmd
}

// listSources prints the sources of a model.
func listSources(s *session, _ *cobra.Command, args []string) error {
	answer, err := s.list(pathOf(registry.Models, args[0])+"/sources", nil)
	if err != nil {
		return err
	}
	var page Page[Source]
	if err := json.Unmarshal(answer, &page); err != nil {
		return fmt.Errorf("reading the sources: %w", err)
	}
	t := table{columns: []string{"SOURCE", "STATUS", "PRIORITY", "WEIGHT", "DETAIL"}}
	var names []string
	for i := range page.Items {
		x := &page.Items[i]
		state := cell{"usable", green}
		if !x.Status.Usable {
			state = cell{"not usable", red}
		}
		t.row(text(x.ID), state, text(fmt.Sprint(orDefault(x.Priority))), text(fmt.Sprint(weightOf(&x.Source))), text(x.Status.Reason))
		names = append(names, x.ID)
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return names },
		table:  func() error { return t.write(s.out, s.colour) },
	})
}

// orDefault is the priority that a source without one has, if it has none.
func orDefault(priority int) int { return max(priority, 1) }

// weightOf is the weight of a source, or that of one without.
func weightOf(s *routing.Source) int {
	if s.Weight == nil {
		return 1
	}
	return *s.Weight
}

// addSourceTo posts to sources.
func addSourceTo(s *session, cmd *cobra.Command, args []string) error {
	fields := sourceFields(cmd)
	fields["upstream"], fields["model"] = mustWrite(args[1]), mustWrite(args[2])
	return s.changeSource(cmd, &request{method: http.MethodPost, path: pathOf(registry.Models, args[0]) + "/sources"}, fields, args[0], "added")
}

// setSource patches a source.
func setSource(s *session, cmd *cobra.Command, args []string) error {
	fields := sourceFields(cmd)
	if len(fields) == 0 {
		return misused("there is nothing to change: give a flag; usage: %s", cmd.UseLine())
	}
	path := pathOf(registry.Models, args[0]) + "/sources/" + segment(args[1])
	return s.changeSource(cmd, &request{method: http.MethodPatch, path: path}, fields, args[0], "changed")
}

// changeSource sends a change of a source, and prints what was done.
func (s *session) changeSource(cmd *cobra.Command, r *request, fields map[string]json.RawMessage, model, done string) error {
	var err error
	if r.header, err = ifRevision(cmd); err != nil {
		return err
	}
	r.query = query(cmd, "dry-run")
	answer, err := s.send(r, fields)
	if err != nil {
		return err
	}
	var x Source
	if err := json.Unmarshal(answer, &x); err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return []string{x.ID} },
		table: func() error {
			if given(cmd, "dry-run") {
				return s.say("source %s of model %s would be %s", clean(x.ID), clean(model), done)
			}
			return s.say("source %s of model %s is %s", clean(x.ID), clean(model), done)
		},
	})
}

// removeSourceFrom deletes a source.
func removeSourceFrom(s *session, cmd *cobra.Command, args []string) error {
	header, err := ifRevision(cmd)
	if err != nil {
		return err
	}
	path := pathOf(registry.Models, args[0]) + "/sources/" + segment(args[1])
	answer, err := s.ask(&request{method: http.MethodDelete, path: path, query: query(cmd, "dry-run"), header: header})
	if err != nil {
		return err
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return args[1:] },
		table: func() error {
			if given(cmd, "dry-run") {
				return s.say("source %s would be taken from model %s", clean(args[1]), clean(args[0]))
			}
			return s.say("source %s is taken from model %s", clean(args[1]), clean(args[0]))
		},
	})
}

// sourceFlags declares the flags of a source's fields.
func sourceFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.String("format", "", "The format to speak to the upstream (default: the client's, or the upstream's first)")
	flags.Int("priority", 0, "Lower numbers are tried first (default: 1)")
	flags.Int("weight", 0, "The share of the requests inside one priority, 0 to 1000 (default: 1)")
	flags.Bool("force-stream", false, "Always ask the upstream for a stream")
	flags.Bool("disabled", false, "Take it out of use")
	complete(cmd, "format", knownFormats()...)
}

// sourceFields are the fields of a source that flags say; null for one that is to go
// back to its default.
func sourceFields(cmd *cobra.Command) map[string]json.RawMessage {
	fields := make(map[string]json.RawMessage)
	for _, name := range []string{"priority", "weight"} {
		if cmd.Flag(name).Changed {
			fields[name] = json.RawMessage(option(cmd, name))
		}
	}
	for _, name := range []string{"force-stream", "disabled"} {
		if cmd.Flag(name).Changed {
			fields[strings.ReplaceAll(name, "-", "_")] = json.RawMessage(strconv.FormatBool(given(cmd, name)))
		}
	}
	if cmd.Flag("format").Changed {
		fields["format"] = json.RawMessage("null")
		if word := option(cmd, "format"); word != "" {
			fields["format"] = mustWrite(word)
		}
	}
	return fields
}
