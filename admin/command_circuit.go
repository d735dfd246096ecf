package admin

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

func circuitCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "circuit <command>", Short: "Shows, opens and resets circuits"}
	group(cmd)
	cmd.AddCommand(listCommand(), openCommand(), resetCommand())
	return cmd
}

func listCommand() *cobra.Command {
	return with(&cobra.Command{
		Use:     "ls [UPSTREAM]",
		Aliases: []string{"list"},
		Short:   "Lists the circuits that have seen traffic",
	}, listCircuits, upstreamWord.orNone())
}

func openCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "open UPSTREAM [--model MODEL] [--for TIME | --until TIME] --reason TEXT",
		Short: "Takes an upstream, or one of its models, out of use",
		Long: `
Opens a circuit by hand: no request goes to the upstream (or to one of its models)
until the time is over or the circuit is reset. That survives reloads and restarts.
Requests that are under way go on.`,
		Example: `  caddy ai circuit open openai --for 2h --reason "maintenance until noon"
  caddy ai circuit open openai --model gpt-4o --reason "bad answers, ticket 4711"`,
	}, openCircuit, upstreamWord)
	cmd.Flags().String("model", "", "The upstream's own name of a model (default: the whole upstream)")
	cmd.Flags().String("for", "", "How long, such as 90s, 2h or 1d (default: until it is reset)")
	cmd.Flags().String("until", "", "Until when, such as 2030-01-31T18:00:00Z (default: until it is reset)")
	cmd.Flags().String("reason", "", "Why, for everybody who wonders (required)")
	return cmd
}

func resetCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "reset UPSTREAM [--model MODEL]",
		Short: "Closes the circuits of an upstream, or of one of its models",
	}, resetCircuit, upstreamWord)
	cmd.Flags().String("model", "", "The upstream's own name of a model (default: all circuits of the upstream)")
	return cmd
}

// listCircuits prints GET /circuits.
func listCircuits(s *session, _ *cobra.Command, args []string) error {
	path := "/circuits"
	if len(args) > 0 {
		path = "/upstreams/" + segment(args[0]) + "/circuits"
	}
	answer, err := s.list(path, nil)
	if err != nil {
		return err
	}
	return s.showCircuits(answer)
}

// openCircuit posts to circuit/open.
func openCircuit(s *session, cmd *cobra.Command, args []string) error {
	body := openRequest{
		Reason: option(cmd, "reason"), Until: option(cmd, "until"), For: option(cmd, "for"), UpstreamModel: option(cmd, "model"),
	}
	switch {
	case body.Reason == "":
		return misused("--reason is missing: say why, for everybody who wonders")
	case body.Until != "" && body.For != "":
		return misused("--for and --until exclude each other")
	}
	answer, err := s.post("/upstreams/"+segment(args[0])+"/circuit/open", body)
	if err != nil {
		return err
	}
	var c Circuit
	if err := json.Unmarshal(answer, &c); err != nil {
		return fmt.Errorf("reading the circuit: %w", err)
	}
	end := "until it is reset"
	if !c.Until.IsZero() {
		end = "until " + moment(c.Until)
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return []string{c.subject()} },
		table:  func() error { return s.say("%s is open %s: %s", clean(c.subject()), end, clean(c.Reason)) },
	})
}

// resetCircuit posts to circuit/reset.
func resetCircuit(s *session, cmd *cobra.Command, args []string) error {
	answer, err := s.post("/upstreams/"+segment(args[0])+"/circuit/reset", resetRequest{UpstreamModel: option(cmd, "model")})
	if err != nil {
		return err
	}
	return s.showCircuits(answer)
}

// showCircuits prints a page of circuits.
func (s *session) showCircuits(answer []byte) error {
	var page Page[Circuit]
	if err := json.Unmarshal(answer, &page); err != nil {
		return fmt.Errorf("reading the circuits: %w", err)
	}
	t := table{columns: []string{"CIRCUIT", "STATE", "UNTIL", "BY", "REASON"}}
	var names []string
	for i := range page.Items {
		c := &page.Items[i]
		until := moment(c.Until)
		if c.Until.IsZero() && !c.ThrottledUntil.IsZero() {
			until = moment(c.ThrottledUntil)
		}
		t.row(text(c.subject()), c.state(), text(until), text(c.Actor), text(c.Reason))
		names = append(names, c.subject())
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return names },
		table:  func() error { return t.write(s.out, s.colour) },
	})
}

// subject says in words what a circuit is about.
func (c *Circuit) subject() string {
	switch c.Scope {
	case routing.ScopeUpstreamModel:
		return c.Upstream + ", model " + c.Model
	case routing.ScopeCredential:
		return c.Upstream + ", credential " + c.Credential
	default:
		return c.Upstream
	}
}

// state is the word for how a circuit is.
func (c *Circuit) state() cell {
	switch {
	case c.State == routing.CircuitForcedOpen:
		return cell{"forced open", red}
	case c.State == routing.CircuitOpen:
		return cell{"open", red}
	case c.State == routing.CircuitHalfOpen:
		return cell{"probing", yellow}
	case !c.ThrottledUntil.IsZero():
		return cell{"throttled", yellow}
	default:
		return cell{"closed", green}
	}
}
