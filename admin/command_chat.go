package admin

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
)

// defaultGateway is where the gateway of the example serves clients.
const defaultGateway = "http://localhost:8080"

func chatCommand() *cobra.Command {
	cmd := with(&cobra.Command{
		Use:   "chat MODEL",
		Short: "Talks with a model through the gateway",
		Long: `
Talks with a model as a client would: each line of the standard input is a question,
and the answer comes as it is written. What was said before is part of the next
question. /exit, or the end of the input, ends it. It works in a pipe, too; there it
exits with 1 at the first question that is not answered.`,
		Example: `  caddy ai chat writer
  echo "Say hello" | caddy ai chat writer --gateway https://ai.example.com --key env:AI_KEY`,
	}, chat, modelWord)
	cmd.Flags().String("gateway", defaultGateway, "Where the gateway serves clients")
	cmd.Flags().String("key", "", "The client's key as env:NAME or file:PATH (default: none)")
	return cmd
}

// chatMessage is a message of OpenAI's Chat Completions.
type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// conversation is what was said to a model, and where it is.
type conversation struct {
	url      string
	key      string
	model    string
	messages []chatMessage
}

// chat reads questions and prints answers.
func chat(s *session, cmd *cobra.Command, args []string) error {
	if s.json || s.quiet {
		return misused("chat prints what the model says: it has no --output json and no --quiet")
	}
	c := &conversation{model: args[0]}
	var err error
	if c.url, err = chatURL(option(cmd, "gateway")); err != nil {
		return err
	}
	if word := option(cmd, "key"); word == "-" {
		return misused("--key takes env:NAME or file:PATH: the standard input is for the questions")
	} else if word != "" {
		if c.key, err = s.readSecret("key", word); err != nil {
			return err
		}
	}
	person := isTerminal(s.in)
	lines := bufio.NewReader(s.in)
	for {
		if person {
			fmt.Fprint(s.notes, "> ")
		}
		line, err := lines.ReadString('\n')
		if question := strings.TrimSpace(line); question == "/exit" {
			return nil
		} else if question != "" {
			if err := s.exchange(c, question); err != nil && !person {
				return err
			} else if err != nil {
				fmt.Fprintln(s.notes, "Error:", err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the question: %w", err)
		}
	}
}

// chatURL is where the gateway at an address takes chats.
func chatURL(gateway string) (string, error) {
	u, err := url.Parse(gateway)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", misused("--gateway takes a URL such as %s", defaultGateway)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", misused("--gateway takes a URL without a user or a query; the key goes into --key")
	}
	return strings.TrimSuffix(strings.TrimSuffix(u.String(), "/"), "/v1") + "/v1/chat/completions", nil
}

// exchange asks one question, and prints the answer as it comes. A question that was not
// answered is no part of the conversation.
func (s *session) exchange(c *conversation, question string) error {
	messages := append(c.messages[:len(c.messages):len(c.messages)], chatMessage{"user", question})
	body := mustWrite(map[string]any{"model": c.model, "stream": true, "messages": messages})
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return misused("asking the gateway: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	// A redirect would lead the key and the question to somebody else.
	still := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := (&http.Client{CheckRedirect: still}).Do(req)
	if err != nil {
		return fmt.Errorf("no answer from the gateway: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		if err != nil {
			return fmt.Errorf("reading the gateway's answer: %w", err)
		}
		return refusalIn(resp.StatusCode, text)
	}
	answer, err := s.readAnswer(resp.Body)
	if answer != "" && !strings.HasSuffix(answer, "\n") {
		fmt.Fprintln(s.out)
	}
	if err != nil {
		return err
	}
	c.messages = append(messages, chatMessage{"assistant", answer})
	return nil
}

// chatChunk is a chunk of a stream of Chat Completions.
type chatChunk struct {
	Choices []struct {
		Delta struct {
			Content string `json:"content"`
			Refusal string `json:"refusal"`
		} `json:"delta"`
	} `json:"choices"`
	Error json.RawMessage `json:"error"`
}

// readAnswer prints the texts of a stream, and returns them as one.
func (s *session) readAnswer(stream io.Reader) (string, error) {
	var answer strings.Builder
	events := sse.NewScanner(stream, maxAnswer)
	for {
		event, err := events.Next()
		if err != nil {
			return answer.String(), fmt.Errorf("the answer broke off: %w", err)
		}
		if event.Data == nil {
			continue
		}
		if string(event.Data) == "[DONE]" {
			return answer.String(), nil
		}
		var chunk chatChunk
		if err := json.Unmarshal(event.Data, &chunk); err != nil {
			return answer.String(), fmt.Errorf("reading the answer: %w", err)
		}
		if len(chunk.Error) > 0 && string(chunk.Error) != "null" {
			return answer.String(), refusalIn(http.StatusOK, event.Data)
		}
		for _, choice := range chunk.Choices {
			piece := choice.Delta.Content + choice.Delta.Refusal
			answer.WriteString(piece)
			if err := s.write([]byte(cleanLines(piece))); err != nil {
				return answer.String(), err
			}
		}
	}
}
