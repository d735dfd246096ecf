package admin

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "ai",
		Usage: "<command>",
		Short: "Looks after the AI gateway of a running Caddy",
		Long: `
Shows how the AI gateway of a running Caddy is, changes what is managed, tests it,
and explains where a request would go. It talks to Caddy's admin endpoint: that of
--address, else of --config, else the default one.

What was asked for goes to the standard output, notes and progress to the standard
error. Secrets are read from the environment, a file or the standard input, and are
never part of a command.

Exit codes: 0 all is well; 1 the server said no, no server answers, or something
needs a person; 2 wrong usage.`,
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
	flags.BoolP("quiet", "q", false, "Print names only, one a line")
	complete(ai, "output", outputTable, outputJSON)
	ai.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return leave(cmd, usageError{nearFlag(cmd, err)}) })
	group(ai)
	ai.AddCommand(
		statusCommand(), checkCommand(), upstreamCommand(), modelCommand(), sourceCommand(), aliasCommand(),
		circuitCommand(), fetchCommand(), catalogueCommand(), testCommand(), explainCommand(), chatCommand(),
		exportCommand(), importCommand(), convertCommand(), backupCommand(), restoreCommand(), eventsCommand(),
	)
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
			near = didYouMean(words[0])
		}
		return leave(cmd, misused("unknown command %q for %q%s", args[0], cmd.CommandPath(), near))
	}
	cmd.SuggestionsMinimumDistance = 2
}

// didYouMean ends an error about a word that is not known; with nothing if no other
// is near.
func didYouMean(near string) string {
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", near)
}

// flagInUsage finds the flags in the usage of a command: the library that has them
// as values is no direct dependency.
var flagInUsage = regexp.MustCompile(`(?m)^\s+(?:-\w, )?--([a-z-]+)`)

// nearFlag adds the flag that was probably meant to the error of one that is not
// known.
func nearFlag(cmd *cobra.Command, err error) error {
	word, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return err
	}
	var known []string
	for _, m := range flagInUsage.FindAllStringSubmatch(cmd.LocalFlags().FlagUsages()+cmd.InheritedFlags().FlagUsages(), -1) {
		known = append(known, m[1])
	}
	if near := routing.Nearest(word, known); near != "" {
		return fmt.Errorf("%w%s", err, didYouMean("--"+near))
	}
	return err
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
	in     io.Reader
	out    io.Writer // what was asked for
	notes  io.Writer // what is to be known beside it
	colour bool
	json   bool
	quiet  bool
}

// printout is an answer in its three forms.
type printout struct {
	// answer is the API's own, for -o json.
	answer []byte
	// names are for -q.
	names func() []string
	// table is for people. Default: an answer that only names what was done.
	table func() error
}

// show prints an answer in the form that was asked for.
func (s *session) show(p printout) error {
	switch {
	case s.json:
		return s.write(p.answer)
	case s.quiet:
		text := ""
		for _, name := range p.names() {
			text += clean(name) + "\n"
		}
		return s.write([]byte(text))
	default:
		return p.table()
	}
}

// write prints a text as it is.
func (s *session) write(text []byte) error {
	if _, err := s.out.Write(text); err != nil {
		return fmt.Errorf("writing the answer: %w", err)
	}
	return nil
}

// say prints a line for people.
func (s *session) say(format string, args ...any) error {
	return s.write(fmt.Appendf(nil, format+"\n", args...))
}

// progress shows people who watch how far a command is: on one line, which the next
// one replaces. An empty text takes it away.
func (s *session) progress(format string, args ...any) {
	if isTerminal(s.notes) {
		fmt.Fprintf(s.notes, "\r\x1b[K"+format, args...)
	}
}

// action makes the RunE of a command with the arguments.
func action(do func(s *session, cmd *cobra.Command, args []string) error, words ...argument) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := count(cmd, words, args); err != nil {
			return leave(cmd, err)
		}
		s, err := newSession(cmd)
		if err != nil {
			return leave(cmd, err)
		}
		return leave(cmd, s.hinted(do(s, cmd, args), words, args))
	}
}

// newSession reads the flags that all commands have.
func newSession(cmd *cobra.Command) (*session, error) {
	fl := caddycmd.Flags{FlagSet: cmd.Flags()}
	output := fl.String("output")
	if output != outputTable && output != outputJSON {
		return nil, misused("--output must be %s or %s, not %q", outputTable, outputJSON, output)
	}
	if output == outputJSON && fl.Bool("quiet") {
		return nil, misused("--quiet and --output json exclude each other")
	}
	if fl.String("adapter") != "" && fl.String("config") == "" {
		return nil, misused("--adapter needs --config")
	}
	address, err := caddycmd.DetermineAdminAPIAddress(fl.String("address"), nil, fl.String("config"), fl.String("adapter"))
	if err != nil {
		return nil, misused("finding the address of the admin endpoint: %w", err)
	}
	return &session{
		client: client{ctx: cmd.Context(), address: address, pause: retryPause},
		in:     cmd.InOrStdin(),
		out:    cmd.OutOrStdout(),
		notes:  cmd.ErrOrStderr(),
		colour: coloured(cmd.OutOrStdout()),
		json:   output == outputJSON,
		quiet:  fl.Bool("quiet"),
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
	if _, misused := errors.AsType[usageError](err); !misused {
		return err
	}
	// Only Caddy's own wrapper makes errors that carry another code than 1.
	exit := caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return exitUsage, nil })
	return exit(cmd, nil)
}
