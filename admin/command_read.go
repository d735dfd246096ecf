package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"

	"golang.org/x/term"
)

// maxSecret is the longest secret that is read, in bytes.
const maxSecret = 64 << 10

// readDocument reads a file, or the standard input for -, that holds one JSON
// document; nil without a name. A file that cannot be used is a mistake in how the
// command was called.
func (s *session) readDocument(name string) (json.RawMessage, error) {
	if name == "" {
		return nil, nil
	}
	body, err := s.readFile(name, maxImport)
	if err != nil {
		return nil, usageError{err}
	}
	if !json.Valid(body) {
		return nil, misused("the file %s is not one JSON document", name)
	}
	return body, nil
}

// readFile reads a file, or the standard input for -, of at most so many bytes.
func (s *session) readFile(name string, most int64) ([]byte, error) {
	from := s.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading the file: %w", err)
		}
		defer file.Close()
		from = file
	}
	body, err := io.ReadAll(io.LimitReader(from, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	if int64(len(body)) > most {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, most)
	}
	return body, nil
}

// openAs sends a request whose answer has a media type. One with any other is not the
// management API's, whatever its status: the address is that of a site, as a rule.
func (s *session) openAs(media string, r *request) (*http.Response, error) {
	resp, err := s.open(r)
	if err != nil {
		return nil, err
	}
	got := resp.Header.Get("Content-Type")
	if kind, _, err := mime.ParseMediaType(got); err == nil && kind == media {
		return resp, nil
	}
	resp.Body.Close()
	return nil, fmt.Errorf("what is at %s is no management API: it answers with %s", s.address, clean(got))
}

// whyNoSecret is why a secret is not taken from the command line. It does not repeat
// what was given.
const whyNoSecret = "takes env:NAME, file:PATH or - for the standard input, never the secret itself: others would see it in the list of processes and in the shell's history"

// readSecret reads the secret that a word stands for: env:NAME, file:PATH, or - for
// the standard input, where it is asked for without being shown if a person types.
// No error repeats the word, which may be the secret, or what was read.
func (s *session) readSecret(flag, word string) (string, error) {
	var secret string
	switch kind, rest, _ := strings.Cut(word, ":"); {
	case word == "-":
		read, err := s.askSecret()
		if err != nil {
			return "", err
		}
		secret = read
	case kind == "env" && rest != "":
		secret = os.Getenv(rest)
	case kind == "file" && rest != "":
		read, err := s.readFile(rest, maxSecret)
		if path, ok := errors.AsType[*fs.PathError](err); ok {
			return "", misused("--%s: reading its file: %w", flag, path.Err)
		}
		if err != nil {
			return "", misused("--%s: its file cannot be read", flag)
		}
		secret = string(read)
	default:
		return "", misused("--%s %s", flag, whyNoSecret)
	}
	secret = strings.TrimRight(secret, "\r\n")
	if secret == "" {
		return "", misused("--%s: there is nothing in the variable, the file or the input that it names", flag)
	}
	return secret, nil
}

// askSecret reads a secret from the standard input.
func (s *session) askSecret() (string, error) {
	if !isTerminal(s.in) {
		read, err := s.readFile("-", maxSecret)
		return string(read), err
	}
	terminal := int(s.in.(*os.File).Fd())
	state, err := term.GetState(terminal)
	if err != nil {
		return "", fmt.Errorf("asking for the secret: %w", err)
	}
	// Who interrupts the question must see again what is typed afterwards.
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	answered := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-interrupted:
			term.Restore(terminal, state)
			fmt.Fprintln(s.notes)
			os.Exit(1)
		case <-answered:
		}
	})
	fmt.Fprint(s.notes, "Secret (it is not shown): ")
	read, err := term.ReadPassword(terminal)
	close(answered)
	watching.Wait()
	signal.Stop(interrupted)
	fmt.Fprintln(s.notes)
	if err != nil {
		return "", fmt.Errorf("asking for the secret: %w", err)
	}
	return string(read), nil
}
