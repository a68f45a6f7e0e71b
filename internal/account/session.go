package account

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/billetcloud/billet/internal/apierr"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
)

// Limits of sessions.
const (
	// SessionIdle is how long a session may be unused.
	SessionIdle = 12 * time.Hour
	// SessionLifetime is the longest duration of a session, however much it is used.
	SessionLifetime = 7 * 24 * time.Hour
	// seenEvery is the precision of a session's last use. A finer one would be a write for every
	// request.
	seenEvery = time.Minute
	// MaxSessions is the most sessions of a user. A new session ends the oldest one: if the new one
	// were refused, a thief of the password could lock its owner out.
	MaxSessions = 50
	// maxUserAgent is the most characters of a User-Agent that are stored.
	maxUserAgent = 200
)

// Session is the session of a signed-in user, in one account at a time.
type Session struct {
	ID      id.ID
	User    User
	Account id.ID
	// Role is the user's role in that account.
	Role                         Role
	CreatedAt, SeenAt, ExpiresAt time.Time
	// Address and UserAgent are those of the sign-in.
	Address, UserAgent string
	// View is set while an operator views another account, which is then Account.
	View *View
}

// SessionOf returns the session with this token, and records its use for FlushLastUse. It returns
// SIGN_IN_REQUIRED if there is none, it has ended, or the user is no longer a member of its
// account.
func (s *Service) SessionOf(ctx context.Context, r db.Reader, token string) (Session, error) {
	required := apierr.New(apierr.SignInRequired, "You are not signed in, or your session has ended. Sign in again.")
	if !isToken(token) {
		return Session{}, required
	}
	hash := hashOf(token)
	n, found, err := sessionByHash(ctx, r, hash)
	if err != nil {
		return Session{}, err
	}
	if !found || !s.see(hash, n) {
		return Session{}, required
	}
	return s.viewed(ctx, r, n)
}

// see records the use of a session, and reports whether it has not ended.
func (s *Service) see(hash string, n Session) bool {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	last := later(n.SeenAt, s.sessionsSeen[hash])
	if !now.Before(n.ExpiresAt) || !now.Before(last.Add(SessionIdle)) {
		return false
	}
	if now.Sub(last) >= seenEvery {
		s.sessionsSeen[hash] = now
	}
	return true
}

// ListSessions returns a page of the user's active sessions, newest first.
func (s *Service) ListSessions(ctx context.Context, r db.Reader, user id.ID, p db.Page) ([]Session, db.Listed, error) {
	return listSessions(ctx, r, user, s.now(), p)
}

// SignOut ends the session with that token. It succeeds if the session has ended.
func (s *Service) SignOut(ctx context.Context, tx *db.Tx, token string) error {
	if !isToken(token) {
		return nil
	}
	return deleteSession(ctx, tx, hashOf(token))
}

// EndSession ends one of the user's sessions. It returns NOT_FOUND, also for a session of another
// user.
func (s *Service) EndSession(ctx context.Context, tx *db.Tx, user, session id.ID) error {
	found, err := deleteSessionByID(ctx, tx, user, session)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "You have no session with this id.")
	}
	return err
}

// EndOtherSessions ends all of the user's sessions except one.
func (s *Service) EndOtherSessions(ctx context.Context, tx *db.Tx, user, spare id.ID) error {
	return deleteSessions(ctx, tx, user, spare)
}

// SwitchAccount moves a session to another of the user's accounts, in which their next session
// starts, too. It returns NOT_FOUND if the user is no member of the account.
func (s *Service) SwitchAccount(ctx context.Context, tx *db.Tx, n Session, to id.ID) (Session, error) {
	role, found, err := roleIn(ctx, tx, to, n.User.ID)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "You are not a member of an account with this id.")
	}
	if err != nil {
		return Session{}, err
	}
	n.Account, n.Role = to, role
	if err := moveSession(ctx, tx, n); err != nil {
		return Session{}, err
	}
	return n, seeMember(ctx, tx, to, n.User.ID)
}

func isToken(token string) bool { return len(token) == randomLength && isBase62(token) }

// shortened returns a User-Agent without hidden characters, shortened to be stored and shown.
func shortened(agent string) string {
	clean := strings.ReplaceAll(apierr.Visible(agent), string(unicode.ReplacementChar), "")
	if r := []rune(clean); len(r) > maxUserAgent {
		return string(r[:maxUserAgent])
	}
	return clean
}
