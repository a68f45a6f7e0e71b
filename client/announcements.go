package client

import (
	"context"
	"iter"
	"time"
)

// AnnouncementLevel is how important an announcement is.
type AnnouncementLevel string

// The levels of announcements.
const (
	// AnnouncementInfo is good to know.
	AnnouncementInfo AnnouncementLevel = "info"
	// AnnouncementWarning may need an action.
	AnnouncementWarning AnnouncementLevel = "warning"
	// AnnouncementCritical needs attention now.
	AnnouncementCritical AnnouncementLevel = "critical"
)

// Announcement is what the operator announces to the account.
type Announcement struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Text is plain text, which may have several lines and may be empty.
	Text  string            `json:"text"`
	Level AnnouncementLevel `json:"level"`
	// StartsAt and EndsAt are between when it is shown.
	StartsAt  time.Time `json:"startsAt"`
	EndsAt    time.Time `json:"endsAt"`
	ChangedAt time.Time `json:"changedAt"`
}

// AnnouncementService lists what the operator announces. Its calls need the scope deployments:read.
type AnnouncementService struct{ c *Client }

// List returns a page of the current announcements, the most important first.
func (s *AnnouncementService) List(ctx context.Context, p Paging, options ...CallOption) (*Page[Announcement], error) {
	return list[Announcement](ctx, s.c, request{path: "/announcements", query: queryOf(p)}, options)
}

// All iterates over all current announcements.
func (s *AnnouncementService) All(ctx context.Context, options ...CallOption) iter.Seq2[Announcement, error] {
	return all(ctx, Paging{}, func(ctx context.Context, at Paging) (*Page[Announcement], error) {
		return s.List(ctx, at, options...)
	}, func(a Announcement) string { return a.ID })
}
