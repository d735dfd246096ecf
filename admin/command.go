package admin

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "ai",
		Usage: "<command>",
		Short: "Looks after the AI gateway of a running Caddy",
		Long: `
Shows how the AI gateway of a running Caddy is, opens and resets circuits, and
explains where a request would go. It talks to Caddy's admin endpoint: that of
--address, else of --config, else the default one.

Exit codes: 0 all is well; 1 the server said no, or something needs a person;
2 wrong usage, or no server answers.`,
		CobraFunc: build,
	})
}

// The exit codes beside 0. Caddy exits with 1 after any other error.
const exitUsage = 2

// The values of --output.
const (
	outputTable = "table"
	outputJSON  = "json"
)

// retryPause is how long the command line waits before it tries again to reach a
// server, which may be about to replace its admin endpoint.
const retryPause = 300 * time.Millisecond

// errNeedsCare ends a command whose output already says what is wrong.
var errNeedsCare = errors.New("something needs care")

// usageError is a mistake in how a command was called.
type usageError struct{ error }

func misused(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// build makes caddy ai out of an empty command.
func build(ai *cobra.Command) {
	flags := ai.PersistentFlags()
	flags.String("address", "", "Address of the admin endpoint (if --config is not used)")
	flags.StringP("config", "c", "", "Configuration file with the address of the admin endpoint")
	flags.StringP("adapter", "a", "", "Name of config adapter to apply (if --config is used)")
	flags.StringP("output", "o", outputTable, "Form of the output: table, or json for the API's own answer")
	complete(ai, "output", outputTable, outputJSON)
	ai.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return leave(cmd, usageError{err}) })
	group(ai)
	ai.AddCommand(statusCommand(), circuitCommand(), explainCommand())
}

// group makes a command that only holds others: alone it shows its help, and a
// word that is none of them is a mistake.
func group(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		near := ""
		if words := cmd.SuggestionsFor(args[0]); len(words) > 0 {
			near = fmt.Sprintf("; did you mean %q?", words[0])
		}
		return leave(cmd, misused("unknown command %q for %q%s", args[0], cmd.CommandPath(), near))
	}
	cmd.SuggestionsMinimumDistance = 2
}

// complete tells shells the values of a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag was not declared, or twice
	}
}

// session is one run of a command.
type session struct {
	client
	out    io.Writer
	colour bool
	json   bool
}

// show prints an answer: as it came with -o json, otherwise as read and table say.
func (s *session) show(answer []byte, table func() error) error {
	if !s.json {
		return table()
	}
	if _, err := s.out.Write(answer); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// action makes the RunE of a command with the named arguments; those in brackets
// may be left out.
func action(do func(s *session, cmd *cobra.Command, args []string) error, names ...string) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) && !strings.HasPrefix(names[len(args)], "[") {
			return leave(cmd, misused("%s is missing; usage: %s", names[len(args)], cmd.UseLine()))
		}
		if len(args) > len(names) {
			return leave(cmd, misused("%q is too much; usage: %s", args[len(names)], cmd.UseLine()))
		}
		s, err := newSession(cmd)
		if err != nil {
			return leave(cmd, err)
		}
		return leave(cmd, do(s, cmd, args))
	}
}

// newSession reads the flags that all commands have.
func newSession(cmd *cobra.Command) (*session, error) {
	fl := caddycmd.Flags{FlagSet: cmd.Flags()}
	output := fl.String("output")
	if output != outputTable && output != outputJSON {
		return nil, misused("--output must be %s or %s, not %q", outputTable, outputJSON, output)
	}
	if fl.String("adapter") != "" && fl.String("config") == "" {
		return nil, misused("--adapter needs --config")
	}
	address, err := caddycmd.DetermineAdminAPIAddress(fl.String("address"), nil, fl.String("config"), fl.String("adapter"))
	if err != nil {
		return nil, misused("finding the address of the admin endpoint: %w", err)
	}
	return &session{
		client: client{address: address, pause: retryPause},
		out:    cmd.OutOrStdout(),
		colour: coloured(cmd.OutOrStdout()),
		json:   output == outputJSON,
	}, nil
}

// leave turns a command's error into the one with which Caddy exits with the right
// code, and prints it.
func leave(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	cmd.SilenceErrors = true
	if errors.Is(err, errNeedsCare) {
		return err
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "Error:", err)
	_, misused := errors.AsType[usageError](err)
	_, alone := errors.AsType[*unreachableError](err)
	if !misused && !alone {
		return err
	}
	// Only Caddy's own wrapper makes errors that carry another code than 1.
	exit := caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return exitUsage, nil })
	return exit(cmd, nil)
}
