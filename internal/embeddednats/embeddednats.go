// Package embeddednats runs a NATS server with JetStream inside the process. The
// server listens on nothing; the one connection to it goes through memory. Every
// write to its streams is synced to disk before it is confirmed.
package embeddednats

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// MaxPayload is the largest JetStream message that the embedded server takes.
const MaxPayload = 8 << 20

// Server is a running embedded server.
type Server struct {
	// Conn is connected to the server. Close closes it.
	Conn *nats.Conn

	server *server.Server
}

// Start starts a server that keeps its streams in dir and connects to it.
func Start(dir string, log *slog.Logger) (*Server, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "greentally",
		DontListen: true,
		JetStream:  true,
		StoreDir:   dir,
		SyncAlways: true,
		MaxPayload: MaxPayload,
		NoSigs:     true,
	})
	if err != nil {
		return nil, fmt.Errorf("embedded journal in %s: %w", dir, err)
	}
	srv.SetLoggerV2(&logger{log}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(30*time.Second) || !srv.JetStreamEnabled() {
		srv.Shutdown()
		return nil, fmt.Errorf("embedded journal in %s did not start within 30 s; the log says why", dir)
	}
	conn, err := nats.Connect("", nats.InProcessServer(srv), nats.Name("greentally"), nats.MaxReconnects(-1))
	if err != nil {
		srv.Shutdown()
		return nil, errors.Join(fmt.Errorf("connect to the embedded journal: %w", err))
	}
	return &Server{Conn: conn, server: srv}, nil
}

// Close disconnects, stops the server and waits until its files are closed.
func (s *Server) Close() {
	s.Conn.Close()
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// logger hands the server's warnings and errors to slog; its notices are debug.
type logger struct{ log *slog.Logger }

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *logger) Fatalf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *logger) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Tracef(string, ...any)           {}
