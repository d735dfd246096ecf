package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// switchDefinitions is enable and disable.
func switchDefinitions(kind registry.Kind, op, done, short string) *cobra.Command {
	return with(&cobra.Command{
		Use:   op + " " + strings.ToUpper(kind.One()) + "...",
		Short: fmt.Sprintf(short, string(kind)),
	}, func(s *session, _ *cobra.Command, args []string) error {
		answer, err := s.post("/"+string(kind)+"/batch", batchRequest{Op: op, Names: args})
		if err != nil {
			return err
		}
		var b batchAnswer
		if err := json.Unmarshal(answer, &b); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		for i := range b.Results {
			if b.Results[i].Status == "not_found" && b.Results[i].Error != nil {
				b.Results[i].Error.Message += s.meant([]argument{wordOf(kind)}, []string{b.Results[i].Name})
			}
		}
		return s.showBatch(kind, answer, &b, done)
	}, wordOf(kind).orMore())
}

// showBatch prints what became of each name.
func (s *session) showBatch(kind registry.Kind, answer []byte, b *batchAnswer, done string) error {
	t := table{columns: []string{strings.ToUpper(kind.One()), "RESULT", "DETAIL"}}
	var names []string
	for _, r := range b.Results {
		result, why := cell{strings.ReplaceAll(r.Status, "_", " "), red}, ""
		if r.Error != nil {
			why = r.Error.Message
		}
		if r.Status == done {
			result.shade = green
			names = append(names, r.Name)
		}
		t.row(text(r.Name), result, text(why))
	}
	err := s.show(printout{
		answer: answer,
		names:  func() []string { return names },
		table:  func() error { return t.write(s.out, s.colour) },
	})
	if err == nil && b.Succeeded < b.Total {
		return errNeedsCare
	}
	return err
}

// removeDefinitions is rm.
func removeDefinitions(kind registry.Kind) *cobra.Command {
	cmd := with(&cobra.Command{
		Use:     "rm " + strings.ToUpper(kind.One()) + "...",
		Aliases: []string{"delete"},
		Short:   "Deletes " + string(kind),
		Long: `
Deletes managed definitions. One that others refer to is not deleted, unless they
are to lose it with --cascade; --dry-run tells what that means.`,
	}, func(s *session, cmd *cobra.Command, args []string) error { return s.remove(cmd, kind, args) }, wordOf(kind).orMore())
	cmd.Flags().Bool("cascade", false, "Also take it from what refers to it")
	dryRun(cmd)
	revisionFlag(cmd)
	return cmd
}

// removal is what became of a name that was to be deleted.
type removal struct {
	deletion
	Error *Error `json:"error,omitempty"`
}

// remove deletes each name on its own, and prints what became of them.
func (s *session) remove(cmd *cobra.Command, kind registry.Kind, args []string) error {
	header, err := ifRevision(cmd)
	if err != nil {
		return err
	}
	if header != nil && len(args) > 1 {
		return misused("--if-revision goes with one name only")
	}
	ask := func(name string) ([]byte, error) {
		q := query(cmd, "cascade", "dry-run")
		return s.ask(&request{method: http.MethodDelete, path: pathOf(kind, name), query: q, header: header})
	}
	if len(args) == 1 {
		answer, err := ask(args[0])
		if err != nil {
			return err
		}
		var one removal
		if err := json.Unmarshal(answer, &one); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		return s.showRemovals(kind, answer, []removal{one})
	}
	all := make([]removal, len(args))
	for i, name := range args {
		answer, err := ask(name)
		if err == nil {
			err = json.Unmarshal(answer, &all[i])
		}
		err = s.hinted(err, []argument{wordOf(kind)}, []string{name})
		if refused, ok := errors.AsType[*refusedError](err); ok {
			all[i] = removal{deletion{Name: name}, &Error{Code: refused.reason.Code, Message: refused.Error()}}
		} else if err != nil {
			return fmt.Errorf("deleting the %s %q: %w", kind.One(), name, err)
		}
	}
	answer, err := json.Marshal(allOf(all))
	if err != nil {
		return fmt.Errorf("writing the answers: %w", err)
	}
	return s.showRemovals(kind, append(answer, '\n'), all)
}

// showRemovals prints what became of names, and what it means for others.
func (s *session) showRemovals(kind registry.Kind, answer []byte, all []removal) error {
	t := table{columns: []string{strings.ToUpper(kind.One()), "RESULT", "DETAIL"}}
	var names []string
	failed := false
	for i := range all {
		r := &all[i]
		switch {
		case r.Error != nil:
			failed = true
			t.row(text(r.Name), cell{"failed", red}, text(r.Error.Message))
		case r.Deleted:
			t.row(text(r.Name), cell{"deleted", green}, text(impactText(r.Impact)))
			names = append(names, r.Name)
		default:
			t.row(text(r.Name), cell{"would be deleted", yellow}, text(impactText(r.Impact)))
			names = append(names, r.Name)
		}
	}
	err := s.show(printout{
		answer: answer,
		names:  func() []string { return names },
		table:  func() error { return t.write(s.out, s.colour) },
	})
	if err == nil && failed {
		return errNeedsCare
	}
	return err
}

// impactText says what a deletion means for others.
func impactText(all []impact) string {
	parts := make([]string, len(all))
	for i, one := range all {
		of := slices.IndexFunc(registry.Kinds[:], func(k registry.Kind) bool { return k.One() == one.Kind })
		if of < 0 {
			parts[i] = one.Kind + " " + one.Name + ": " + string(one.Effect) // of a newer server
			continue
		}
		parts[i] = registry.Impact{
			ID: registry.ID{Kind: registry.Kinds[of], Name: one.Name}, Effect: one.Effect, Sources: one.Sources,
		}.String()
	}
	return strings.Join(parts, "; ")
}
