package anthropic

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// stopOf returns the neutral stop of a stop_reason; both literals may be absent.
// What the answer holds counts more than the word: some servers say end_turn
// although tools were called, or tool_use for tools of their own.
func stopOf(reason, sequence chat.Literal, tools bool) chat.Stop {
	s := chat.Stop{Reason: reasonOf(reason)}
	switch {
	case s.Reason == chat.StopOther:
		s.Native = reason.String()
	case s.Reason == chat.StopSequence:
		s.Sequence = sequence
	case tools && s.Reason == chat.StopEnd:
		s.Reason = chat.StopToolUse
	case !tools && s.Reason == chat.StopToolUse:
		s.Reason = chat.StopEnd
	}
	return s
}

// reasonOf returns the meaning of a stop_reason.
func reasonOf(reason chat.Literal) chat.StopReason {
	switch string(reason.Inner()) {
	case "end_turn", "":
		return chat.StopEnd
	case "max_tokens":
		return chat.StopMaxTokens
	case "stop_sequence":
		return chat.StopSequence
	case "tool_use":
		return chat.StopToolUse
	case "refusal":
		return chat.StopRefusal
	case "pause_turn", "compaction":
		return chat.StopPause
	case "model_context_window_exceeded":
		return chat.StopContextWindow
	default:
		return chat.StopOther
	}
}

// content says what an answer holds, as far as it bears on why it stopped.
type content struct{ tools, refusal bool }

// stopReason is the stop_reason of a neutral stop.
func stopReason(s chat.StopReason, has content) string {
	switch s {
	case chat.StopMaxTokens:
		return "max_tokens"
	case chat.StopSequence:
		return "stop_sequence"
	case chat.StopRefusal, chat.StopContentFilter:
		return "refusal"
	case chat.StopPause:
		return "pause_turn"
	case chat.StopContextWindow:
		return "model_context_window_exceeded"
	case chat.StopOther:
		return "end_turn"
	}
	switch {
	case has.tools:
		return "tool_use"
	case has.refusal:
		return "refusal"
	default:
		return "end_turn"
	}
}

// appendStop appends the members that say why an answer stopped.
func appendStop(dst []byte, s *chat.Stop, has content) []byte {
	dst = append(dst, `"stop_reason":"`...)
	dst = append(dst, stopReason(s.Reason, has)...)
	dst = append(dst, `","stop_sequence":`...)
	if s.Reason == chat.StopSequence && s.Sequence != nil {
		dst = append(dst, s.Sequence...)
	} else {
		dst = append(dst, "null"...)
	}
	return append(dst, `,"stop_details":null`...)
}
