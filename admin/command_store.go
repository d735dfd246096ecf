package admin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func importCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "import FILE",
		Short: "Takes in what export has printed",
		Long: `
Adds and replaces managed definitions: all that are in the file (- for standard
input), or none. What is not in the file stays. A placeholder {env.AI_GATEWAY_...} in
a credential is filled from this command's own environment; one that is not set there
keeps the secret that is stored.`,
	}, importFile, fileWord)
	dryRun(cmd)
	return cmd
}

// importFile posts to import.
func importFile(s *session, cmd *cobra.Command, args []string) error {
	document, err := s.readDocument(args[0])
	if err != nil {
		return err
	}
	document, left := filled(document)
	for _, name := range left {
		fmt.Fprintf(s.notes, "%s is not set: the secret that is stored stays\n", clean(name))
	}
	answer, err := s.ask(&request{method: http.MethodPost, path: "/import", query: query(cmd, "dry-run"), body: bytes.NewReader(document)})
	if err != nil {
		return err
	}
	var done importedAnswer
	if err := json.Unmarshal(answer, &done); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	t := table{columns: []string{"KIND", "NAME", "RESULT"}}
	var names []string
	for _, r := range done.Results {
		shade := green
		if r.Status == "unchanged" {
			shade = plain
		}
		t.row(text(r.Kind), text(r.Name), cell{r.Status, shade})
		names = append(names, r.Name)
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return names },
		table: func() error {
			if err := t.write(s.out, s.colour); err != nil {
				return err
			}
			end := ""
			if done.DryRun {
				end = "; nothing was changed, for this is a dry run"
			}
			return s.say("\n%d created, %d changed, %d unchanged%s", done.Created, done.Changed, done.Unchanged, end)
		},
	})
}

// filled puts the environment's values in the place of the stand-ins for secrets, and
// lists the variables that are not set. What it does not understand is left to the
// server.
func filled(document json.RawMessage) (json.RawMessage, []string) {
	var whole map[string]json.RawMessage
	var upstreams map[string]map[string]json.RawMessage
	if json.Unmarshal(document, &whole) != nil || json.Unmarshal(whole["upstreams"], &upstreams) != nil {
		return document, nil
	}
	var left []string
	for _, name := range slices.Sorted(maps.Keys(upstreams)) {
		spec := upstreams[name]
		var credentials []map[string]json.RawMessage
		if json.Unmarshal(spec["credentials"], &credentials) != nil {
			continue
		}
		for _, c := range credentials {
			left = append(left, fillIn(c)...)
		}
		spec["credentials"] = mustWrite(credentials)
	}
	whole["upstreams"] = mustWrite(upstreams)
	return mustWrite(whole), left
}

// fillIn fills the stand-ins of one credential.
func fillIn(c map[string]json.RawMessage) (left []string) {
	for _, field := range slices.Sorted(maps.Keys(c)) {
		var text string
		if json.Unmarshal(c[field], &text) != nil || !standIn.MatchString(text) {
			continue
		}
		variable := strings.TrimSuffix(strings.TrimPrefix(text, "{env."), "}")
		if value := os.Getenv(variable); value != "" {
			c[field] = mustWrite(value)
			continue
		}
		left = append(left, variable)
	}
	return left
}

func backupCommand() *cobra.Command {
	return with(&cobra.Command{
		Use:   "backup FILE",
		Short: "Makes a backup of the store, and fetches it",
		Long: `
Makes a backup of the store, and writes it to a file: managed definitions, circuits
and catalogues. Secrets in it are sealed with the secret key, which is not in it. A
file that is there is replaced once the new one is whole.`,
	}, backUp, fileWord)
}

// backUp posts to backups, and reads what was made.
func backUp(s *session, _ *cobra.Command, args []string) error {
	answer, err := s.send(&request{method: http.MethodPost, path: "/backups"}, struct{}{})
	if err != nil {
		return err
	}
	var made Backup
	if err := json.Unmarshal(answer, &made); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	resp, err := s.open(&request{method: http.MethodGet, path: "/backups/" + segment(made.Name), again: true})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := writeWhole(args[0], resp.Body, made.Bytes); err != nil {
		return fmt.Errorf("writing the backup: %w", err)
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return []string{made.Name} },
		table: func() error {
			return s.say("%s: %d records, %d bytes; the server keeps it as %s", clean(args[0]), made.Records, made.Bytes, clean(made.Name))
		},
	})
}

// writeWhole writes a file of a known size: it is there when it is whole, and
// readable for its owner alone.
func writeWhole(name string, from io.Reader, size int64) (err error) {
	file, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	n, err := io.Copy(file, from)
	if err == nil && n != size {
		err = fmt.Errorf("it has %d bytes, but %d came", size, n)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), name)
}

func restoreCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "restore FILE",
		Short: "Makes the store what it was when a backup was made",
		Long: `
Sends a backup to the server, which makes its store what it was then: managed
definitions, circuits and catalogues. All of the file is read before anything
changes. It asks first, unless --yes is given.`,
	}, restore, fileWord)
	cmd.Flags().BoolP("yes", "y", false, "Do not ask")
	return cmd
}

// restore posts to restore.
func restore(s *session, cmd *cobra.Command, args []string) error {
	file, err := os.Open(args[0])
	if err != nil {
		return misused("reading the backup: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("reading the backup: %w", err)
	}
	if !info.Mode().IsRegular() {
		return misused("reading the backup: %s is no regular file", args[0]) // its size must be known
	}
	if !given(cmd, "yes") {
		if err := s.confirm("Everything that is managed becomes what it was then. Go on?"); err != nil {
			return err
		}
	}
	answer, err := s.ask(&request{method: http.MethodPost, path: "/restore", body: file, header: http.Header{"Content-Type": {binary}}})
	if err != nil {
		return err
	}
	return s.show(printout{
		answer: answer,
		names:  func() []string { return args },
		table:  func() error { return s.say("%s is restored", clean(args[0])) },
	})
}

// confirm asks a person; nobody else can say yes.
func (s *session) confirm(question string) error {
	if !isTerminal(s.in) {
		return misused("nobody is there to be asked: say --yes")
	}
	fmt.Fprintf(s.notes, "%s [y/N] ", question)
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("asking: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	default:
		return errors.New("nothing was changed")
	}
}
