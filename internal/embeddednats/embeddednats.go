// Package embeddednats runs a NATS server with JetStream inside the process. The
// server listens on nothing; the connections to it go through memory. Every
// write to its streams is synced to disk before it is confirmed.
//
// It looks after the files: what is damaged in them is cut out before the server reads them,
// with a copy kept aside, so that a bad byte costs one message and not all that follow it; and
// a server that stopped writing, because its disk was full, is started anew when there is room.
// It knows nothing of what the streams hold.
package embeddednats

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// MaxPayload is the largest JetStream message that the embedded server takes.
const MaxPayload = 8 << 20

// Options say how a server is run. All of them may be left out.
type Options struct {
	Log *slog.Logger

	// Trouble is told of an error that keeps streams from being written, again while it lasts,
	// and nil when that is over.
	Trouble func(error)

	// Damaged is told of what was found damaged in the files, before the server reads them: at the
	// start, and when it is started anew. May be nil.
	Damaged func([]Damage)

	// Free returns how many bytes the disk of a folder has left; the default asks the system.
	Free func(dir string) (uint64, error)
}

// Server is a running embedded server.
type Server struct {
	// Conn is connected to the server. Close closes it.
	Conn *nats.Conn

	dir     string
	options Options
	log     *slog.Logger
	wrong   chan struct{} // holds a value when the server cannot write
	stop    chan struct{}
	closing sync.Once
	stopped chan struct{}

	mu      sync.Mutex
	current *server.Server // nil while it is started anew
	conns   []*nats.Conn
}

const (
	// lookAgain is how often a server that cannot write is looked at.
	lookAgain = 2 * time.Second
	// enough is how many bytes the disk must have free for it to be started anew.
	enough = 16 << 20
)

// Start starts a server that keeps its streams in dir and connects to it.
func Start(dir string, options Options) (*Server, error) {
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	if options.Trouble == nil {
		options.Trouble = func(error) {}
	}
	if options.Free == nil {
		options.Free = Free
	}
	s := &Server{dir: dir, options: options, log: options.Log,
		wrong: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{})}
	err := s.mend()
	if err != nil {
		return nil, err
	}
	if s.current, err = s.run(); err != nil {
		return nil, err
	}
	if s.Conn, err = s.Connect("greentally"); err != nil {
		s.current.Shutdown()
		return nil, err
	}
	go s.lookAfter()
	return s, nil
}

// mend looks for damage in the files, mends it, and tells of it.
func (s *Server) mend() error {
	damages, err := mend(s.dir, time.Now())
	if err != nil {
		return fmt.Errorf("look for damage in %s: %w", s.dir, err)
	}
	for _, d := range damages {
		if d.Torn {
			s.log.Warn("the last record of a file was not whole, as after a loss of power; it was cut off", "stream", d.Stream, "file", d.File, "bytes", d.Bytes, "copy", d.Copy)
		} else {
			s.log.Error("a file is damaged; what could not be read was cut out of it, and what follows is kept", "stream", d.Stream, "file", d.File, "bytes", d.Bytes, "copy", d.Copy)
		}
	}
	if len(damages) > 0 && s.options.Damaged != nil {
		s.options.Damaged(damages)
	}
	return nil
}

// run starts the server itself.
func (s *Server) run() (*server.Server, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName: "greentally",
		DontListen: true,
		JetStream:  true,
		StoreDir:   s.dir,
		SyncAlways: true,
		MaxPayload: MaxPayload,
		NoSigs:     true,
		// Without it the server takes three quarters of what the disk has free for all that it may
		// ever use, and does not open streams whose budgets are more. The budgets bound themselves.
		JetStreamMaxStore: math.MaxInt64 / 2,
	})
	if err != nil {
		return nil, fmt.Errorf("embedded journal in %s: %w", s.dir, err)
	}
	srv.SetLoggerV2(&logger{log: s.log, failed: s.failed}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(30*time.Second) || !srv.JetStreamEnabled() {
		srv.Shutdown()
		return nil, fmt.Errorf("embedded journal in %s did not start within 30 s; the log says why", s.dir)
	}
	return srv, nil
}

// Connect makes a further connection to the server. Close closes it.
func (s *Server) Connect(name string) (*nats.Conn, error) {
	conn, err := nats.Connect("", nats.InProcessServer(s), nats.Name(name), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.log.Debug("embedded journal", "connection", name, "error", err)
		}))
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded journal: %w", err)
	}
	s.mu.Lock()
	s.conns = append(s.conns, conn)
	s.mu.Unlock()
	return conn, nil
}

// InProcessConn is for the connections, which so find the server that runs now.
func (s *Server) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	current := s.current
	s.mu.Unlock()
	if current == nil {
		return nil, errors.New("the embedded journal is started anew")
	}
	return current.InProcessConn()
}

// Suspect has the server looked at, because somebody could not write to a stream of it.
func (s *Server) Suspect() { s.failed() }

func (s *Server) failed() {
	select {
	case s.wrong <- struct{}{}:
	default: // it is known
	}
}

// lookAfter starts the server anew when it cannot write any more and the disk has room: a stream
// whose file could not be written takes nothing until it is opened again.
func (s *Server) lookAfter() {
	defer close(s.stopped)
	for {
		select {
		case <-s.wrong:
		case <-s.stop:
			return
		}
		for !s.restored() {
			select {
			case <-time.After(lookAgain):
			case <-s.stop:
				return
			}
		}
	}
}

// restored starts the server anew if there is room, and reports whether it runs.
func (s *Server) restored() bool {
	left, err := s.options.Free(s.dir)
	if err == nil && left < enough {
		err = fmt.Errorf("the disk of %s is full: %d bytes are free, and %d are needed; make room", s.dir, left, enough)
	}
	if err != nil {
		s.options.Trouble(err)
		return false
	}
	s.log.Warn("the embedded journal could not write its files; it is started anew")
	s.mu.Lock()
	before := s.current
	s.current = nil
	s.mu.Unlock()
	if before != nil {
		before.Shutdown()
		before.WaitForShutdown()
	}
	if err = s.mend(); err == nil {
		var srv *server.Server
		if srv, err = s.run(); err == nil {
			s.mu.Lock()
			s.current = srv
			s.mu.Unlock()
			select { // what was wrong before is over
			case <-s.wrong:
			default:
			}
			s.options.Trouble(nil)
			s.log.Info("the embedded journal runs again")
			return true
		}
	}
	s.options.Trouble(fmt.Errorf("start the embedded journal anew: %w", err))
	return false
}

// Close disconnects, stops the server and waits until its files are closed.
func (s *Server) Close() {
	s.closing.Do(func() { close(s.stop) })
	<-s.stopped
	s.mu.Lock()
	conns, current := s.conns, s.current
	s.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
	}
	if current != nil {
		current.Shutdown()
		current.WaitForShutdown()
	}
}

// logger hands the server's warnings and errors to slog; its notices are debug. It tells of
// those after which a stream takes nothing any more.
type logger struct {
	log    *slog.Logger
	failed func()
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l *logger) Fatalf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Tracef(string, ...any)           {}

func (l *logger) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error(text)
	// "Critical write error" is the server's word for a stream that is closed to writes.
	if strings.Contains(text, "Critical write error") || strings.Contains(text, "no space left on device") {
		l.failed()
	}
}
