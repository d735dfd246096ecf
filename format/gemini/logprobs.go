package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// The probabilities of an answer's tokens: Gemini lists the chosen tokens and,
// beside them, the likeliest ones of each step; OpenAI has one list with both.

// neutralLogprobs returns a logprobsResult as OpenAI's formats list it; nil if it
// has no tokens.
func neutralLogprobs(v tape.Value) chat.Raw {
	chosen := member(v, "chosenCandidates")
	if chosen.Len() == 0 {
		return nil
	}
	var steps []tape.Value
	for step := range member(v, "topCandidates").Elements {
		steps = append(steps, member(step, "candidates"))
	}
	var out []byte
	n := 0
	for token := range chosen.Elements {
		out = append(out, separator(n))
		out = appendToken(out, token)
		out = append(out, `,"top_logprobs":[`...)
		if n < len(steps) {
			first := true
			for likely := range steps[n].Elements {
				if !first {
					out = append(out, ',')
				}
				first = false
				out = append(appendToken(out, likely), '}')
			}
		}
		out = append(out, "]}"...)
		n++
	}
	return append(out, ']')
}

// setLogprobs gives the last text of an answer the probabilities of its tokens.
func setLogprobs(blocks []chat.Block, raw chat.Raw) {
	for i := len(blocks) - 1; i >= 0; i-- {
		if blocks[i].Kind == chat.Text {
			blocks[i].Logprobs = raw
			return
		}
	}
}

// separator is what stands before element n of an array.
func separator(n int) byte {
	if n == 0 {
		return '['
	}
	return ','
}

// appendToken appends a token of Gemini's, without the end of its object.
func appendToken(dst []byte, v tape.Value) []byte {
	dst = append(dst, `{"token":`...)
	dst = append(dst, v.Get("token").Literal().OrEmpty()...)
	dst = append(dst, `,"logprob":`...)
	dst = appendNumber(dst, member(v, "logProbability"))
	return append(dst, `,"bytes":null`...)
}

// appendNumber appends a number, or 0 if it is none.
func appendNumber(dst []byte, v tape.Value) []byte {
	if v.Kind() != tape.Number {
		return append(dst, '0')
	}
	return append(dst, v.Raw()...)
}

// appendLogprobs appends the member of a candidate, behind another one; nothing
// if raw is no list of tokens.
func appendLogprobs(dst []byte, raw chat.Raw) []byte {
	if len(raw) == 0 {
		return dst
	}
	t := tape.Take()
	defer t.Release()
	if t.Parse(raw) != nil || t.Root().Len() == 0 || t.Root().Kind() != tape.Array {
		return dst
	}
	dst = append(dst, `,"logprobsResult":{"topCandidates":`...)
	n := 0
	for token := range t.Root().Elements {
		dst = append(dst, separator(n))
		dst = append(dst, `{"candidates":[`...)
		first := true
		for likely := range token.Get("top_logprobs").Elements {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendCandidate(dst, likely)
		}
		dst = append(dst, "]}"...)
		n++
	}
	dst = append(dst, `],"chosenCandidates":`...)
	n = 0
	for token := range t.Root().Elements {
		dst = appendCandidate(append(dst, separator(n)), token)
		n++
	}
	return append(dst, "]}"...)
}

// appendCandidate appends a token of OpenAI's as one of Gemini's.
func appendCandidate(dst []byte, v tape.Value) []byte {
	dst = append(dst, `{"token":`...)
	dst = append(dst, v.Get("token").Literal().OrEmpty()...)
	dst = append(dst, `,"logProbability":`...)
	dst = appendNumber(dst, v.Get("logprob"))
	return append(dst, '}')
}
