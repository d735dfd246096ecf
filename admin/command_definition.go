package admin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// known is a definition of which the status is read later, when its kind is known.
type known struct {
	Definition
	Status json.RawMessage `json:"status"`
}

// wordOf is the argument that names a definition of a kind.
func wordOf(kind registry.Kind) argument {
	return argument{name: strings.ToUpper(kind.One()), known: namesAt("/" + string(kind)), one: kind.One()}
}

// newWord is the name of a definition that there is not yet.
var newWord = argument{name: "NAME"}

// definitionCommand is the command of a kind, with what all kinds have.
func definitionCommand(kind registry.Kind, short string, others ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: kind.One() + " <command>", Short: short}
	group(cmd)
	cmd.AddCommand(
		listDefinitions(kind), getDefinition(kind), addDefinition(kind), setDefinition(kind),
		switchDefinitions(kind, "enable", "enabled", "Takes %s into use again"),
		switchDefinitions(kind, "disable", "disabled", "Takes %s out of use, and keeps them"),
		removeDefinitions(kind),
	)
	cmd.AddCommand(others...)
	return cmd
}

// listDefinitions is ls.
func listDefinitions(kind registry.Kind) *cobra.Command {
	filters := append([]string{"q", "status", "origin", "sort"}, wordFilters[kind]...)
	cmd := with(&cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "Lists " + string(kind),
	}, func(s *session, cmd *cobra.Command, _ []string) error {
		answer, err := s.list("/"+string(kind), query(cmd, filters...))
		if err != nil {
			return err
		}
		return s.showDefinitions(kind, answer)
	})
	flags := cmd.Flags()
	flags.String("q", "", "Only those with this text in the name, the address or another text")
	flags.String("status", "", "Only those that are "+strings.Join(states, ", "))
	flags.String("origin", "", "Only those that are declared (in the config) or managed")
	flags.String("sort", "", "Sort by "+strings.Join(sorts[kind], ", ")+"; with a minus in front from the end (default: name)")
	complete(cmd, "status", states...)
	complete(cmd, "origin", string(registry.Declaration), string(registry.Management))
	complete(cmd, "sort", sorts[kind]...)
	for _, name := range wordFilters[kind] {
		flags.String(name, "", "Only those of this "+name)
	}
	return cmd
}

// showDefinitions prints a page of definitions.
func (s *session) showDefinitions(kind registry.Kind, answer []byte) error {
	var page Page[known]
	if err := json.Unmarshal(answer, &page); err != nil {
		return fmt.Errorf("reading the %s: %w", kind, err)
	}
	names, err := namesIn(answer)
	if err != nil {
		return err
	}
	t := table{columns: append([]string{strings.ToUpper(kind.One()), "STATUS", "ORIGIN"}, columnsOf[kind]...)}
	for i := range page.Items {
		d := &page.Items[i]
		state, others, err := d.columns(kind)
		if err != nil {
			return err
		}
		if d.Shadowed {
			state = cell{"shadowed", yellow}
		}
		t.row(append([]cell{text(d.Name), state, text(string(d.Origin))}, others...)...)
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return names },
		table:  func() error { return t.write(s.out, s.colour) },
	})
}

// columnsOf are the columns that a list of a kind has beside those of all.
var columnsOf = map[registry.Kind][]string{
	registry.Upstreams: {"FORMATS", "MODELS", "DETAIL"},
	registry.Models:    {"SOURCES", "DETAIL"},
	registry.Aliases:   {"MODEL", "DETAIL"},
}

// columns are the state of a definition and what columnsOf names.
func (d *known) columns(kind registry.Kind) (cell, []cell, error) {
	var u UpstreamStatus
	var m ModelStatus
	var a AliasStatus
	var err error
	switch kind {
	case registry.Upstreams:
		err = json.Unmarshal(d.Status, &u)
	case registry.Models:
		err = json.Unmarshal(d.Status, &m)
	default:
		err = json.Unmarshal(d.Status, &a)
	}
	if err != nil {
		return cell{}, nil, fmt.Errorf("reading the status of the %s %q: %w", kind.One(), d.Name, err)
	}
	switch kind {
	case registry.Upstreams:
		return u.state(), []cell{text(joined(u.Formats)), text(partOf(u.UsableModels, u.Models)), text(u.Reason)}, nil
	case registry.Models:
		return m.state(), []cell{text(partOf(m.UsableSources, m.Sources)), text(m.Reason)}, nil
	default:
		return a.state(), []cell{text(a.Model), text(a.Reason)}, nil
	}
}

func partOf(n, all int) string { return fmt.Sprintf("%d of %d", n, all) }

// state is the word for how an alias is.
func (a *AliasStatus) state() cell {
	switch {
	case a.Usable:
		return cell{"usable", green}
	case a.Reason == "disabled":
		return cell{"disabled", plain}
	default:
		return cell{"not usable", red}
	}
}

// getDefinition is get.
func getDefinition(kind registry.Kind) *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "get " + strings.ToUpper(kind.One()),
		Short: "Shows the definition of " + anyOne(kind) + " and how it is",
		Long: `
Shows a definition and how it is. What it prints with -o json can be changed and
given back with "set -f"; instead of secrets there are masks, which keep them.`,
	}, func(s *session, cmd *cobra.Command, args []string) error {
		answer, err := s.get(pathOf(kind, args[0]), query(cmd, "origin"))
		if err != nil {
			return err
		}
		return s.showDefinition(kind, answer)
	}, wordOf(kind))
	cmd.Flags().String("origin", "", "The declared or the managed one, if there are both (default: the one in use)")
	complete(cmd, "origin", string(registry.Declaration), string(registry.Management))
	return cmd
}

// showDefinition prints all of one definition.
func (s *session) showDefinition(kind registry.Kind, answer []byte) error {
	var d known
	if err := json.Unmarshal(answer, &d); err != nil {
		return fmt.Errorf("reading the %s: %w", kind.One(), err)
	}
	state, others, err := d.columns(kind)
	if err != nil {
		return err
	}
	var spec bytes.Buffer
	if err := json.Indent(&spec, d.Spec, "", "  "); err != nil {
		return fmt.Errorf("reading the %s: %w", kind.One(), err)
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return []string{d.Name} },
		table: func() error {
			t := table{columns: []string{"STATUS", state.text}}
			for i, name := range columnsOf[kind] {
				t.row(text(name), others[i])
			}
			t.row(text("ORIGIN"), text(d.history()))
			if err := s.say("%s %s", kind.One(), clean(d.Name)); err != nil {
				return err
			}
			if err := t.write(s.out, s.colour); err != nil {
				return err
			}
			return s.say("%s", cleanLines(spec.String()))
		},
	})
}

// history is where a definition comes from.
func (d *known) history() string {
	if d.Origin == registry.Declaration {
		return "declared, edited at " + d.Place
	}
	by := ""
	if d.Actor != "" {
		by = " by " + d.Actor
	}
	return fmt.Sprintf("managed, revision %d%s, %s", d.Revision, by, moment(d.Updated))
}

// addDefinition is add.
func addDefinition(kind registry.Kind) *cobra.Command {
	cmd := with(&cobra.Command{
		Use:     "add NAME",
		Aliases: []string{"new"},
		Short:   "Adds " + anyOne(kind),
		Long:    "\nAdds " + anyOne(kind) + " that is managed: from a file with its JSON, from flags, or from both; a\nflag wins.",
		Example: examplesOf[kind],
	}, func(s *session, cmd *cobra.Command, args []string) error {
		spec, err := s.specOf(cmd, kind, args[0], false)
		if err != nil {
			return err
		}
		answer, err := s.send(&request{method: http.MethodPost, path: "/" + string(kind), query: query(cmd, "dry-run")}, createRequest{Name: args[0], Spec: spec})
		if err != nil {
			return err
		}
		return s.showChange(cmd, kind, answer, "added")
	}, newWord)
	specFlags(cmd, kind)
	dryRun(cmd)
	return cmd
}

// setDefinition is set.
func setDefinition(kind registry.Kind) *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "set " + strings.ToUpper(kind.One()),
		Short: "Changes " + anyOne(kind),
		Long: `
Changes a managed definition: what is named neither in the file nor by a flag stays
as it is; null in the file, and an empty text as the value of a flag, removes.
With --if-revision nothing is changed if somebody else was faster.`,
	}, func(s *session, cmd *cobra.Command, args []string) error {
		patch, err := s.specOf(cmd, kind, args[0], true)
		if err != nil {
			return err
		}
		header, err := ifRevision(cmd)
		if err != nil {
			return err
		}
		r := &request{method: http.MethodPatch, path: pathOf(kind, args[0]), query: query(cmd, "dry-run"), header: header}
		answer, err := s.send(r, patchRequest{Spec: patch})
		if err != nil {
			return err
		}
		return s.showChange(cmd, kind, answer, "changed")
	}, wordOf(kind))
	specFlags(cmd, kind)
	revisionFlag(cmd)
	dryRun(cmd)
	return cmd
}

func dryRun(cmd *cobra.Command) {
	cmd.Flags().Bool("dry-run", false, "Only say what would become of it")
}

// revisionFlag declares --if-revision.
func revisionFlag(cmd *cobra.Command) {
	cmd.Flags().Uint64("if-revision", 0, "Change it only if it is still at this revision")
}

// ifRevision is the header for --if-revision.
func ifRevision(cmd *cobra.Command) (http.Header, error) {
	if !cmd.Flag("if-revision").Changed {
		return nil, nil
	}
	revision := option(cmd, "if-revision")
	if revision == "0" {
		return nil, misused("--if-revision takes the revision that get has shown, from 1")
	}
	return http.Header{"If-Match": {`"` + revision + `"`}}, nil
}

// showChange prints what was done to a definition.
func (s *session) showChange(cmd *cobra.Command, kind registry.Kind, answer []byte, done string) error {
	var d known
	if err := json.Unmarshal(answer, &d); err != nil {
		return fmt.Errorf("reading the %s: %w", kind.One(), err)
	}
	state, others, err := d.columns(kind)
	if err != nil {
		return err
	}
	how, detail := "is "+state.text, ""
	if strings.HasPrefix(state.text, "no ") {
		how = "has " + state.text
	}
	if why := others[len(others)-1].text; why != "" && why != state.text {
		detail = ": " + clean(why)
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return []string{d.Name} },
		table: func() error {
			if given(cmd, "dry-run") {
				return s.say("%s %s would be %s", kind.One(), clean(d.Name), done)
			}
			return s.say("%s %s is %s, revision %d; it %s%s", kind.One(), clean(d.Name), done, d.Revision, how, detail)
		},
	})
}

// anyOne is a definition of the kind, in sentences.
func anyOne(kind registry.Kind) string {
	if kind == registry.Models {
		return "a model"
	}
	return "an " + kind.One()
}
