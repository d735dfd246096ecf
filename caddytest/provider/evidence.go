package provider

import (
	"fmt"
	"strings"
)

// source is a page that a text is taken from.
type source struct{ url, title string }

// logprob is the probability that every token has.
const logprob = "-0.5"

// citation is a source as OpenAI's formats cite it; Chat puts it into a member of
// its own.
func (b block) citation(pairs ...string) string {
	return object(append(pairs, "start_index", "0", "end_index", fmt.Sprint(len([]rune(b.text))), "url", quote(b.cited.url), "title", quote(b.cited.title))...)
}

// chatAnnotations are the sources of a text, as the message of OpenAI chat has
// them.
func (b block) chatAnnotations() []string {
	if b.cited.url == "" {
		return nil
	}
	return []string{object("type", `"url_citation"`, "url_citation", b.citation())}
}

// responsesAnnotations are the sources of a text, as its part in OpenAI Responses
// has them.
func (b block) responsesAnnotations() []string {
	if b.cited.url == "" {
		return nil
	}
	return []string{b.citation("type", `"url_citation"`)}
}

// messagesCitation is the source of a text, as Anthropic messages has it; empty if
// it has none.
func (b block) messagesCitation() string {
	if b.cited.url == "" {
		return ""
	}
	return object("type", `"web_search_result_location"`, "url", quote(b.cited.url), "title", quote(b.cited.title),
		"encrypted_index", `"RW8="`, "cited_text", quote(b.text))
}

// geminiGrounding is the groundingMetadata of an answer; empty if it has no
// sources. Places are in bytes.
func geminiGrounding(s Step) string {
	var chunks, supports []string
	at := 0
	for _, b := range s.content {
		if b.kind != blockText {
			continue
		}
		if b.cited.url != "" {
			segment := object("startIndex", number(at), "endIndex", fmt.Sprint(at+len(b.text)), "text", quote(b.text))
			supports = append(supports, object("segment", segment, "groundingChunkIndices", array(fmt.Sprint(len(chunks)))))
			chunks = append(chunks, object("web", object("uri", quote(b.cited.url), "title", quote(b.cited.title))))
		}
		at += len(b.text)
	}
	if chunks == nil {
		return ""
	}
	return object("webSearchQueries", array(), "groundingChunks", array(chunks...), "groundingSupports", array(supports...))
}

// tokens are the probabilities of a text's words, as OpenAI's formats list them:
// an empty array if they are not told.
func (b block) tokens(text string) string {
	var out []string
	if b.weighed {
		for _, word := range strings.Fields(text) {
			bytes := strings.Trim(strings.ReplaceAll(fmt.Sprint([]byte(word)), " ", ","), "[]")
			out = append(out, object("token", quote(word), "logprob", logprob, "bytes", "["+bytes+"]", "top_logprobs", "[]"))
		}
	}
	return array(out...)
}

// chatLogprobs are the probabilities of a text, as a choice of OpenAI chat has
// them.
func (b block) chatLogprobs(text string) string {
	if !b.weighed {
		return "null"
	}
	return object("content", b.tokens(text), "refusal", "null")
}

// geminiLogprobs is the logprobsResult of a text; empty if it is not told.
func (b block) geminiLogprobs(text string) string {
	if !b.weighed || text == "" {
		return ""
	}
	var chosen, top []string
	for _, word := range strings.Fields(text) {
		token := object("token", quote(word), "tokenId", "1", "logProbability", logprob)
		chosen, top = append(chosen, token), append(top, object("candidates", array(token)))
	}
	return object("topCandidates", array(top...), "chosenCandidates", array(chosen...))
}
