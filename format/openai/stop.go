package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// content says what an answer holds, as far as it bears on why it stopped.
type content struct{ tools, refusal bool }

// stopOf returns the neutral stop of a finish_reason. What the answer holds
// counts more than the word: some servers say stop although tools were called.
func stopOf(reason chat.Literal, has content) chat.Stop {
	s := chat.Stop{Reason: reasonOf(reason)}
	if s.Reason == chat.StopOther {
		s.Native = reason.String()
	}
	switch {
	case has.tools && s.Reason == chat.StopEnd:
		s.Reason = chat.StopToolUse
	case !has.tools && s.Reason == chat.StopToolUse:
		s.Reason = chat.StopEnd
	case has.refusal && s.Reason == chat.StopEnd:
		s.Reason = chat.StopRefusal
	}
	return s
}

// reasonOf returns the meaning of a finish_reason, in the words of OpenAI and of
// servers with words of their own.
func reasonOf(reason chat.Literal) chat.StopReason {
	switch string(reason.Inner()) {
	case "stop", "", "eos", "end_turn":
		return chat.StopEnd
	case "tool_calls", "function_call":
		return chat.StopToolUse
	case "length", "max_tokens", "model_length":
		return chat.StopMaxTokens
	case "content_filter", "sensitive", "safety":
		return chat.StopContentFilter
	default:
		return chat.StopOther
	}
}

// finishReason is the finish_reason of a neutral stop.
func finishReason(s chat.StopReason, has content, legacy bool) string {
	tools := "tool_calls"
	if legacy {
		tools = "function_call"
	}
	switch s {
	case chat.StopToolUse:
		return tools
	case chat.StopMaxTokens, chat.StopContextWindow:
		return "length"
	case chat.StopContentFilter:
		return "content_filter"
	case chat.StopRefusal:
		if has.refusal {
			return "stop"
		}
		return "content_filter"
	case chat.StopUnset, chat.StopEnd:
		if has.tools {
			return tools
		}
	}
	return "stop"
}
