"""The record as Markdown, HTML, JSON and JUnit: one model, four renderings, nothing but text in and out."""
