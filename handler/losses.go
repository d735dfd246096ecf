package handler

import (
	"fmt"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// losses are what the translations of one exchange dropped or changed.
type losses struct {
	report chat.Report
}

// add takes a codec's report.
func (l *losses) add(report chat.Report) {
	if len(report) > 0 {
		l.report = append(l.report, report...)
	}
}

const (
	// maxWarning bounds the header X-Gateway-Warning, in bytes.
	maxWarning = 512
	// maxPath bounds a field's path in it.
	maxPath = 64
)

// warning is the value of X-Gateway-Warning: a list of codes, each of what
// happened and to which field, such as "unsupported:seed". It is empty if nothing
// was lost.
func (l *losses) warning() string {
	if len(l.report) == 0 {
		return ""
	}
	var b strings.Builder
	for i := range l.report {
		code := string(l.report[i].Reason) + ":" + headerText(l.report[i].Path)
		if b.Len()+len(code)+len(", more") > maxWarning {
			b.WriteString(", more")
			break
		}
		if b.Len() > 0 {
			if strings.Contains(b.String(), code) {
				continue
			}
			b.WriteString(", ")
		}
		b.WriteString(code)
	}
	return b.String()
}

// headerText is a field's path as a header may hold it: a client may have chosen
// its words.
func headerText(path string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || r == ',' || r == ';' || r == '"' {
			return '_'
		}
		return r
	}, path[:min(len(path), maxPath)])
}

// account notes what the translation of a request has lost, and refuses the
// request if its model, or else the handler, wants that for losses that change
// its meaning.
func (a *attempt) account(report chat.Report) error {
	a.x.losses = losses{} // those of an earlier attempt do not matter
	if len(report) == 0 {
		return nil
	}
	a.x.losses.add(report)
	rule := a.source.Serves.Model.OnUnsupported
	if rule == "" {
		rule = a.x.h.OnUnsupported
	}
	if rule != routing.UnsupportedError {
		return nil
	}
	for i := range report {
		if report[i].Meaning {
			return &chat.Error{
				Kind: chat.ErrInvalidRequest, Code: "unsupported_parameter", Param: report[i].Path,
				Message: fmt.Sprintf("%s cannot be expressed in the format of the model's source; leave it out or ask another model", report[i].Path),
			}
		}
	}
	return nil
}

// tellLosses tells the log and the metrics what the answering attempt's
// translations lost.
func (a *attempt) tellLosses() {
	report := a.x.losses.report
	if len(report) == 0 {
		return
	}
	for i := range report {
		countDropped(a.x.endpoint.Format, a.format, report[i].Path)
	}
	if entry := a.x.h.logger.Check(zap.DebugLevel, "translation dropped or changed fields"); entry != nil {
		entry.Write(zap.String("request_id", a.x.id), zap.String("format", string(a.format)), zap.Any("fields", report))
	}
}
