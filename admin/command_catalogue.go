package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

func fetchCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "fetch [UPSTREAM...]",
		Short: "Asks upstreams which models they have",
		Long: `
Syncs the catalogues of upstreams: all that are not disabled, or those that are
named. It tells which models are new, gone or changed, and exits with 1 if the list
of an upstream could not be had, or was refused because it lacks most models that
were there before. One that is not configured, or has no list, is skipped unless it
is named.`,
		Example: `  caddy ai fetch
  caddy ai fetch openai --preview`,
	}, fetch, upstreamWord.orNone().orMore())
	cmd.Flags().Bool("preview", false, "Only tell what would change")
	cmd.Flags().Bool("force", false, "Take in a list that lacks most models")
	return cmd
}

func catalogueCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "catalogue <command>", Short: "Shows catalogues, and makes sources of what is in them"}
	group(cmd)
	list := with(&cobra.Command{
		Use:     "ls UPSTREAM",
		Aliases: []string{"list"},
		Short:   "Lists the models that an upstream has",
	}, listCatalogue, upstreamWord)
	list.Flags().String("q", "", "Only those with this text in the name")
	list.Flags().String("status", "", "Only those that are active, disabled or gone")
	complete(list, "status", "active", "disabled", "gone")
	cmd.AddCommand(list, with(&cobra.Command{
		Use:   "import UPSTREAM UPSTREAM_MODEL...",
		Short: "Makes models of an upstream's models",
		Long: `
Makes a source of each upstream model: of the model of the same name, which is added
if it is not there. What is there already stays as it is.`,
	}, importFromCatalogue, upstreamWord, argument{name: "UPSTREAM_MODEL", known: knownUpstreamModels(0), many: true}))
	return cmd
}

// fetched is what a sync of one upstream has done.
type fetched struct {
	syncAnswer
	Error *Error `json:"error,omitempty"`
	// skipped says that nobody has asked for this upstream, and nobody can.
	skipped bool
}

// codeUnlisted is the code of an upstream that cannot be asked for its models.
const codeUnlisted = "upstream_" + string(upstream.ListUnavailable)

// fetch syncs one upstream after the other.
func fetch(s *session, cmd *cobra.Command, args []string) error {
	names := args
	if len(names) == 0 {
		var err error
		if names, err = s.enabledUpstreams(); err != nil {
			return err
		}
	}
	all := make([]fetched, len(names))
	var answers []json.RawMessage
	for i, name := range names {
		s.progress("%d of %d: %s", i+1, len(names), clean(name))
		answer, err := s.fetchOne(cmd, name)
		err = s.hinted(err, []argument{upstreamWord}, []string{name})
		if refused, ok := errors.AsType[*refusedError](err); ok {
			all[i].Upstream, all[i].Error = name, &Error{Code: refused.reason.Code, Message: refused.Error()}
			all[i].skipped = len(args) == 0 && refused.reason.Code == codeUnlisted
			answer = append(mustWrite(map[string]any{"upstream": name, "error": all[i].Error}), '\n')
		} else if err != nil {
			s.progress("")
			return err
		} else if err := json.Unmarshal(answer, &all[i]); err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		answers = append(answers, answer)
	}
	s.progress("")
	return s.showFetched(cmd, all, answers)
}

// fetchOne syncs one upstream, or previews that.
func (s *session) fetchOne(cmd *cobra.Command, name string) ([]byte, error) {
	path := pathOf(registry.Upstreams, name) + "/catalogue/"
	if given(cmd, "preview") {
		return s.post(path+"preview", struct{}{})
	}
	return s.send(&request{method: http.MethodPost, path: path + "sync"}, syncRequest{Force: given(cmd, "force")})
}

// enabledUpstreams lists the upstreams in use that are not disabled.
func (s *session) enabledUpstreams() ([]string, error) {
	answer, err := s.list("/upstreams", nil)
	if err != nil {
		return nil, err
	}
	var page Page[struct {
		Name     string         `json:"name"`
		Shadowed bool           `json:"shadowed"`
		Status   UpstreamStatus `json:"status"`
	}]
	if err := json.Unmarshal(answer, &page); err != nil {
		return nil, fmt.Errorf("reading the upstreams: %w", err)
	}
	var names []string
	for _, u := range page.Items {
		if !u.Shadowed && u.Status.stateWord() != stateDisabled {
			names = append(names, u.Name)
		}
	}
	return names, nil
}

// showFetched prints what became of each upstream.
func (s *session) showFetched(cmd *cobra.Command, all []fetched, answers []json.RawMessage) error {
	answer := append(mustWrite(allOf(answers)), '\n')
	if len(all) == 1 {
		answer = answers[0]
	}
	var names []string
	failed := false
	for i := range all {
		failed = failed || all[i].Error != nil && !all[i].skipped
		names = append(append(names, all[i].Added...), all[i].Returned...)
	}
	err := s.show(printout{
		answer: answer,
		names:  func() []string { return names },
		table:  func() error { return s.fetchedTable(given(cmd, "preview"), all) },
	})
	if err == nil && failed {
		return errNeedsCare
	}
	return err
}

// fetchedTable prints a line for each upstream, and one for each model that is not as
// it was.
func (s *session) fetchedTable(preview bool, all []fetched) error {
	t := table{columns: []string{"UPSTREAM", "RESULT", "LISTED", "NEW", "GONE", "CHANGED", "DETAIL"}}
	var lines strings.Builder
	for i := range all {
		f := &all[i]
		if f.Error != nil {
			result := cell{"failed", red}
			if f.skipped {
				result = cell{"skipped", yellow}
			}
			t.row(text(f.Upstream), result, text(""), text(""), text(""), text(""), text(f.Error.Message))
			continue
		}
		result, detail := cell{"synced", green}, ""
		switch {
		case f.Refused != nil:
			result, detail = cell{"would be refused", red}, f.Refused.Error()
		case preview:
			result = cell{"previewed", plain}
		}
		fresh := append(f.Added[:len(f.Added):len(f.Added)], f.Returned...)
		t.row(text(f.Upstream), result, number(f.Listed), number(len(fresh)), number(len(f.Gone)), number(len(f.Changed)), text(detail))
		for _, part := range []struct {
			sign  string
			names []string
		}{{"+", fresh}, {"-", f.Gone}, {"~", f.Changed}} {
			for _, name := range part.names {
				fmt.Fprintf(&lines, "%s %s  %s\n", part.sign, clean(f.Upstream), clean(name))
			}
		}
	}
	if err := t.write(s.out, s.colour); err != nil || lines.Len() == 0 {
		return err
	}
	return s.say("\n%s", strings.TrimSuffix(lines.String(), "\n"))
}

func number(n int) cell { return text(fmt.Sprint(n)) }

// listCatalogue prints GET catalogue.
func listCatalogue(s *session, cmd *cobra.Command, args []string) error {
	answer, err := s.list(pathOf(registry.Upstreams, args[0])+"/catalogue", query(cmd, "q", "status"))
	if err != nil {
		return err
	}
	var c Catalogue
	if err := json.Unmarshal(answer, &c); err != nil {
		return fmt.Errorf("reading the catalogue: %w", err)
	}
	t := table{columns: []string{"UPSTREAM MODEL", "STATUS", "ORIGIN", "CONTEXT", "MODELS"}}
	var names []string
	for i := range c.Items {
		e := &c.Items[i]
		state := cell{"gone", red}
		switch {
		case e.Disabled:
			state = cell{"disabled", plain}
		case e.Active():
			state = cell{"active", green}
		}
		size := ""
		if e.ContextWindow > 0 {
			size = fmt.Sprint(e.ContextWindow)
		}
		t.row(text(e.Name), state, text(string(e.Origin)), text(size), text(strings.Join(e.Models, ", ")))
		names = append(names, e.Name)
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return names },
		table: func() error {
			if err := s.say("%s\n", c.age()); err != nil {
				return err
			}
			return t.write(s.out, s.colour)
		},
	})
}

// age says how current a catalogue is.
func (c *Catalogue) age() string {
	synced := "never synced"
	if !c.SyncedAt.IsZero() {
		synced = "synced " + moment(c.SyncedAt)
	}
	if c.Error != "" {
		synced += "; the last sync failed: " + c.Error
	}
	return fmt.Sprintf("upstream %s, %s", clean(c.Upstream), clean(synced))
}

// importFromCatalogue posts to catalogue/import.
func importFromCatalogue(s *session, _ *cobra.Command, args []string) error {
	body := importRequest{}
	for _, name := range args[1:] {
		body.Models = append(body.Models, importItem{UpstreamModel: name})
	}
	answer, err := s.send(&request{method: http.MethodPost, path: pathOf(registry.Upstreams, args[0]) + "/catalogue/import"}, body)
	if err != nil {
		return err
	}
	var done importAnswer
	if err := json.Unmarshal(answer, &done); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	t := table{columns: []string{"MODEL", "RESULT", "DETAIL"}}
	var names []string
	for _, r := range done.Results {
		result, why := cell{r.Status, green}, ""
		if r.Error != nil {
			result.shade, why = red, r.Error.Message
		} else {
			names = append(names, r.Model)
		}
		t.row(text(r.Model), result, text(why))
	}
	err = s.show(printout{
		answer: answer,
		names:  func() []string { return names },
		table:  func() error { return t.write(s.out, s.colour) },
	})
	if err == nil && done.Failed > 0 {
		return errNeedsCare
	}
	return err
}
