package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

func statusCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "status [--watch[=TIME]]",
		Short: "Shows upstreams, models and the store",
		Long: `
Shows how the gateway's upstreams, models and store are. Exits with 1 if a model
that is not disabled has no usable source, so that it serves as a health check; with
-q it names those models. With --watch it shows that again and again, until it is
interrupted.`,
	}, showStatus)
	cmd.Flags().String("watch", "", "Show it again after this time (default if there is none: 2s)")
	cmd.Flag("watch").NoOptDefVal = "2s"
	return cmd
}

// showStatus prints GET /status, once or for ever.
func showStatus(s *session, cmd *cobra.Command, _ []string) error {
	text := option(cmd, "watch")
	if text == "" {
		return s.status()
	}
	every, err := caddy.ParseDuration(text)
	if err != nil || every <= 0 {
		return misused("--watch takes a time such as 2s, not %q; write it with =", text)
	}
	for {
		if isTerminal(s.out) {
			fmt.Fprint(s.out, "\x1b[H\x1b[2J") // an empty screen
		}
		err := s.status()
		switch {
		case s.ctx.Err() != nil:
			return nil // interrupted, as it was meant to be
		case passing(err):
			fmt.Fprintln(s.notes, err) // it may come back
		case err != nil && !errors.Is(err, errNeedsCare):
			return err
		}
		select {
		case <-s.ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// status prints the status as it is now.
func (s *session) status() error {
	answer, err := s.get("/status", nil)
	if err != nil {
		return err
	}
	var status Status
	if err := json.Unmarshal(answer, &status); err != nil {
		return fmt.Errorf("reading the status: %w", err)
	}
	broken := status.unserved()
	err = s.show(printout{
		answer: answer,
		names:  func() []string { return broken },
		table:  func() error { return s.statusTables(&status) },
	})
	if err == nil && len(broken) > 0 {
		return errNeedsCare
	}
	return err
}

// unserved lists the models that clients may ask for and no source can serve.
func (s *Status) unserved() []string {
	var names []string
	for _, m := range s.Models {
		if !m.Usable && !m.Disabled {
			names = append(names, m.Name)
		}
	}
	return names
}

// statusTables prints a line about the server and a table each of its upstreams
// and models.
func (s *session) statusTables(status *Status) error {
	store := status.Store.State
	if status.Store.Reason != "" {
		store += " (" + status.Store.Reason + ")"
	}
	fmt.Fprintf(s.out, "gateway %s, up %s, config of %s, store %s\n\n", clean(status.Version),
		remaining(status.Started, status.Time), moment(status.Configured), clean(store))

	upstreams := table{columns: []string{"UPSTREAM", "STATUS", "FORMATS", "DETAIL"}}
	for i := range status.Upstreams {
		u := &status.Upstreams[i]
		upstreams.row(text(u.Name), u.state(), text(joined(u.Formats)), text(u.detail(status.Time)))
	}
	if err := upstreams.write(s.out, s.colour); err != nil {
		return err
	}
	fmt.Fprintln(s.out)

	models := table{columns: []string{"MODEL", "STATUS", "SOURCES", "DETAIL"}}
	for i := range status.Models {
		m := &status.Models[i]
		models.row(text(m.Name), m.state(), text(fmt.Sprintf("%d of %d", m.UsableSources, m.Sources)), text(m.Reason))
	}
	return models.write(s.out, s.colour)
}

// state is the word for how an upstream is.
func (u *UpstreamStatus) state() cell {
	switch {
	case u.Circuit.State == routing.CircuitForcedOpen:
		return cell{"forced open", red}
	case u.Circuit.State == routing.CircuitOpen:
		return cell{"circuit open", red}
	case !u.Usable:
		return cell{"not usable", red}
	case u.Circuit.State == routing.CircuitHalfOpen:
		return cell{"probing", yellow}
	case len(u.Circuit.OpenModels)+len(u.Circuit.OpenCredentials) > 0:
		return cell{"partly open", yellow}
	default:
		return cell{"active", green}
	}
}

// detail is why an upstream is not simply active.
func (u *UpstreamStatus) detail(now time.Time) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if u.Circuit.Reason != "" {
		add("%s", u.Circuit.Reason)
	} else if u.Reason != "" {
		add("%s", u.Reason)
	}
	if !u.Circuit.Until.IsZero() {
		add("%s left", remaining(now, u.Circuit.Until))
	}
	if len(u.Circuit.OpenModels) > 0 {
		add("models open: %s", strings.Join(u.Circuit.OpenModels, ", "))
	}
	if len(u.Circuit.OpenCredentials) > 0 {
		add("credentials open: %s", strings.Join(u.Circuit.OpenCredentials, ", "))
	}
	return strings.Join(parts, "; ")
}

// state is the word for how a model is.
func (m *ModelStatus) state() cell {
	switch {
	case m.Disabled:
		return cell{"disabled", plain}
	case !m.Usable:
		return cell{"no usable source", red}
	case m.UsableSources < m.Sources:
		return cell{"usable", yellow}
	default:
		return cell{"usable", green}
	}
}
