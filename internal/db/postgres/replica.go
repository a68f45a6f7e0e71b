package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/jackc/pgx/v5"
)

// watchTime is how long one comparison of a replica with the primary may take.
const watchTime = 5 * time.Second

// CheckReplicaURL returns what is wrong with the form of a replica's URL, without any part of it.
func CheckReplicaURL(url string) error {
	if err := CheckURL(url); err != nil {
		return err
	}
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return errURL
	}
	for _, other := range c.Fallbacks { // the same host without TLS, or further hosts
		if other.Host != c.Host || other.Port != c.Port {
			return errors.New("the URL of a replica must have one host: what one standby has replayed says nothing " +
				"of another")
		}
	}
	return nil
}

// replica opens the replica of the options, which follows the primary; nil if there is none.
func (o Options) replica(primary *sql.DB) (*db.Replica, error) {
	if o.Replica == "" {
		return nil, nil
	}
	if err := CheckReplicaURL(o.Replica); err != nil {
		return nil, err
	}
	config, err := pgx.ParseConfig(o.Replica)
	if err != nil {
		return nil, errURL
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTime
	}
	if _, set := config.RuntimeParams[nameParam]; !set {
		config.RuntimeParams[nameParam] = program
	}
	// It need not answer now, so it is not known whether a pooler is in between.
	unnamed(config)
	pool := sql.OpenDB(newConnector(config, true, localLimits()))
	pool.SetMaxOpenConns(o.Connections)
	pool.SetMaxIdleConns(2)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	s := &standby{primary: primary, pool: pool, now: time.Now}
	return &db.Replica{Pool: pool, Watch: s.watch, Lag: s.lag}, nil
}

// standby is a standby that is compared with its primary.
type standby struct {
	primary, pool *sql.DB
	now           func() time.Time // with a monotonic reading

	mu       sync.Mutex
	progress progress
}

// watch compares the positions of both in the write-ahead log. The primary's is read first, so that
// a standby that has reached it has every commit that was done before.
func (s *standby) watch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, watchTime)
	defer cancel()
	began := s.now()
	var identity string
	var position int64
	err := s.primary.QueryRowContext(ctx, `SELECT system_identifier::TEXT, (pg_current_wal_flush_lsn() - '0/0')::BIGINT
		FROM pg_control_system()`).Scan(&identity, &position)
	if err != nil {
		return fmt.Errorf("ask the primary: %w", err)
	}
	var theirs string
	var follows bool
	var replayed int64
	err = s.pool.QueryRowContext(ctx, `SELECT system_identifier::TEXT, pg_is_in_recovery(),
		COALESCE(pg_last_wal_replay_lsn() - '0/0', 0)::BIGINT FROM pg_control_system()`).
		Scan(&theirs, &follows, &replayed)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		return fmt.Errorf("ask the replica: %w", err) // what is known of it becomes too old soon
	case theirs != identity:
		s.progress = progress{}
		return errors.New("the replica is of another PostgreSQL than the database")
	case !follows:
		s.progress = progress{}
		return errors.New("the replica is no standby: it follows no primary")
	}
	s.progress.primaryAt(began, position)
	s.progress.replayed(replayed)
	return nil
}

func (s *standby) lag() (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.progress.asOf.IsZero() {
		return 0, false
	}
	return s.now().Sub(s.progress.asOf), true
}

// mostMarks limits the marks of a standby that does not get on.
const mostMarks = 64

// progress is how far a standby has followed. It needs no clock but this machine's, and does not
// believe the standby, which cannot know what it was not sent.
type progress struct {
	marks []mark
	// highest is the last position that the standby was seen at.
	highest int64
	// asOf is when the standby's state was the primary's, or earlier; zero if not known.
	asOf time.Time
}

// mark is where the primary was at a time.
type mark struct {
	at       time.Time
	position int64
}

// primaryAt records where the primary was. A primary that is behind its standby is another one,
// which was promoted without having all: until it has got further, positions compare nothing.
func (p *progress) primaryAt(at time.Time, position int64) {
	if position < p.highest {
		p.marks, p.asOf = nil, time.Time{}
		return
	}
	if len(p.marks) == mostMarks { // every second one is enough
		kept := p.marks[:0]
		for i := 0; i < mostMarks; i += 2 {
			kept = append(kept, p.marks[i])
		}
		p.marks = kept
	}
	p.marks = append(p.marks, mark{at, position})
}

// replayed records how far the standby is.
func (p *progress) replayed(position int64) {
	p.highest = max(p.highest, position)
	n := 0
	for n < len(p.marks) && p.marks[n].position <= position {
		p.asOf = p.marks[n].at
		n++
	}
	p.marks = p.marks[n:]
}
