package storage

import (
	"fmt"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// badgerLog hands the database's messages to zap. What the database calls
// information is of use only to those who debug it.
type badgerLog struct{ log *zap.Logger }

// Errorf logs an error.
func (l badgerLog) Errorf(format string, args ...any) { l.write(zap.ErrorLevel, format, args) }

// Warningf logs a warning.
func (l badgerLog) Warningf(format string, args ...any) { l.write(zap.WarnLevel, format, args) }

// Infof logs a message for those who debug the database.
func (l badgerLog) Infof(format string, args ...any) { l.write(zap.DebugLevel, format, args) }

// Debugf logs nothing: the database says several things per write there.
func (badgerLog) Debugf(string, ...any) {}

func (l badgerLog) write(level zapcore.Level, format string, args []any) {
	if entry := l.log.Check(level, "message of the database"); entry != nil {
		entry.Write(zap.String("detail", strings.TrimSpace(fmt.Sprintf(format, args...))))
	}
}
