package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// stopOf returns the neutral stop of a finishReason. What the answer holds
// counts more than the word: the format says STOP when tools were called.
// What the provider says about an unusual end stands behind its word.
func stopOf(reason, message tape.Value, tools bool) chat.Stop {
	s := chat.Stop{Reason: chat.StopOther}
	switch string(reason.Literal().Unescaped()) {
	case "STOP", "":
		s.Reason = chat.StopEnd
		if tools {
			s.Reason = chat.StopToolUse
		}
	case "MAX_TOKENS":
		s.Reason = chat.StopMaxTokens
	case "SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "RECITATION", "LANGUAGE",
		"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION":
		s.Reason = chat.StopContentFilter
		s.Native = reason.Text()
	default:
		s.Native = format.Bounded(reason.Text(), 64)
		if text := message.Text(); text != "" {
			s.Native += ": " + format.Bounded(text, 256)
		}
	}
	return s
}

// isReason says that a finishReason tells that the answer is complete.
func isReason(v tape.Value) bool {
	return v.Kind() == tape.String && !v.Is("") && !v.Is("FINISH_REASON_UNSPECIFIED")
}

// blockReason returns why a prompt was refused; Absent if it was not.
func blockReason(feedback tape.Value) tape.Value {
	for key, value := range feedback.Members {
		if string(canonical(key)) == "blockReason" && value.Kind() == tape.String && !value.Is("") && !value.Is("BLOCK_REASON_UNSPECIFIED") {
			return value
		}
	}
	return tape.Value{}
}

// blockedStop is the stop of a prompt that was refused.
func blockedStop(reason tape.Value) chat.Stop {
	return chat.Stop{Reason: chat.StopContentFilter, Native: format.Bounded(reason.Text(), 64)}
}

// finishReason is the finishReason of a neutral stop.
func finishReason(s chat.StopReason, refusal bool) string {
	switch s {
	case chat.StopMaxTokens, chat.StopContextWindow:
		return "MAX_TOKENS"
	case chat.StopRefusal, chat.StopContentFilter:
		return "SAFETY"
	case chat.StopOther:
		return "OTHER"
	default:
		if refusal {
			return "SAFETY"
		}
		return "STOP"
	}
}
