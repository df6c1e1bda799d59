package mail

import (
	"context"

	"greentally"
)

type File struct {
	Name, MediaType string
	Data            []byte
}

type Month struct {
	Community   string
	Month       greentally.Month
	Indicators  []greentally.IndicatorValue
	Assessments []greentally.Assessment
	Files       []File
}

func (m *Mailer) SendMonth(ctx context.Context, to Recipient, month Month) error { return nil }
