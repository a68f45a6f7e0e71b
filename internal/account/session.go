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

// How long a session lasts.
const (
	// SessionIdle is how long a session may go unused.
	SessionIdle = 12 * time.Hour
	// SessionLength is how long a session lasts at the most, however much it is used.
	SessionLength = 7 * 24 * time.Hour
	// seenEvery is how exactly a session's last use is kept: finer would be a write at every call.
	seenEvery = time.Minute
	// MaxSessions is how many sessions a user may have: the oldest end when another begins. To refuse the new one would let whoever
	// has the password keep its owner out.
	MaxSessions = 50
	// maxUserAgent is how many characters of what a browser calls itself are kept.
	maxUserAgent = 200
)

// Session is a user who is signed in, in one account at a time.
type Session struct {
	ID      id.ID
	User    User
	Account id.ID
	// Role is the user's in that account.
	Role                         Role
	CreatedAt, SeenAt, ExpiresAt time.Time
	// Address and UserAgent are those that it began with.
	Address, UserAgent string
}

// SessionOf returns the session of this token, and remembers its use for FlushLastUse. It answers SIGN_IN_REQUIRED where there is
// none, it has ended, or the user no longer belongs to its account.
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
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	last := later(n.SeenAt, s.sessionsSeen[hash])
	if !found || !now.Before(n.ExpiresAt) || !now.Before(last.Add(SessionIdle)) {
		return Session{}, required
	}
	if now.Sub(last) >= seenEvery {
		s.sessionsSeen[hash] = now
	}
	return n, nil
}

// ListSessions returns a page of the user's sessions that have not ended, newest first, and how many there are.
func (s *Service) ListSessions(ctx context.Context, r db.Reader, user id.ID, p db.Page) ([]Session, db.Listed, error) {
	return listSessions(ctx, r, user, s.now(), p)
}

// SignOut ends the session of the token. To end one that has ended succeeds.
func (s *Service) SignOut(ctx context.Context, tx *db.Tx, token string) error {
	if !isToken(token) {
		return nil
	}
	return deleteSession(ctx, tx, hashOf(token))
}

// EndSession ends one of the user's sessions. It answers NOT_FOUND, also for another user's.
func (s *Service) EndSession(ctx context.Context, tx *db.Tx, user, session id.ID) error {
	found, err := deleteSessionByID(ctx, tx, user, session)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "You have no session with this id.")
	}
	return err
}

// EndOtherSessions ends all of the user's sessions but that one.
func (s *Service) EndOtherSessions(ctx context.Context, tx *db.Tx, user, spare id.ID) error {
	return deleteSessions(ctx, tx, user, spare)
}

// SwitchAccount moves a session to another of the user's accounts, in which their next one will begin, too. It answers
// NOT_FOUND for an account that they do not belong to.
func (s *Service) SwitchAccount(ctx context.Context, tx *db.Tx, n Session, to id.ID) (Session, error) {
	role, found, err := roleIn(ctx, tx, to, n.User.ID)
	if err == nil && !found {
		err = apierr.New(apierr.NotFound, "You belong to no account with this id.")
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

// shortened makes what a browser says of itself fit to be kept and shown.
func shortened(agent string) string {
	clean := strings.ReplaceAll(apierr.Visible(agent), string(unicode.ReplacementChar), "")
	if r := []rune(clean); len(r) > maxUserAgent {
		return string(r[:maxUserAgent])
	}
	return clean
}
