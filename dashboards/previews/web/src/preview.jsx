// One dashboard of a recording, laid out as Grafana lays it out.
import 'uplot/dist/uPlot.min.css';
import './preview.css';
import React from 'react';
import { createRoot } from 'react-dom/client';
import { dateTime, dateTimeFormat, getFieldDisplayValues } from '@grafana/data';
import { BigValue, TimeSeries } from '@grafana/ui';
import { boards, framesOf, span, theme } from './frames.js';
import { Heat } from './heat.jsx';
import { Rows } from './rows.jsx';

const WIDTH = 1600;
const CELL = 30 + 8;
const GAP = 8;
const HEADER = 40;
const TITLE = 32;
const PADDING = 8;

const timeRange = { from: dateTime(span.from), to: dateTime(span.to), raw: { from: dateTime(span.from), to: dateTime(span.to) } };
const clock = (at, format = 'HH:mm:ss') => dateTimeFormat(at, { timeZone: 'utc', format });

function Tile({ panel, data, width, height }) {
  const found = getFieldDisplayValues({
    data, theme, timeZone: 'utc', fieldConfig: panel.fieldConfig, reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
  });
  const each = (width - (found.length - 1) * GAP) / found.length;
  return (
    <div style={{ display: 'flex', gap: GAP }}>
      {found.map(({ display }, n) => (
        <BigValue key={n} value={found.length > 1 ? display : { ...display, title: '' }} width={each} height={height} theme={theme}
          colorMode={panel.options.colorMode} graphMode="none" textMode={found.length > 1 ? 'value_and_name' : 'value'} justifyMode="auto" />
      ))}
    </div>
  );
}

function Graph({ panel, data, width, height }) {
  return (
    <TimeSeries frames={data} structureRev={1} timeRange={timeRange} timeZone="utc" width={width} height={height}
      legend={panel.options.legend} options={panel.options} />
  );
}

const KINDS = { stat: Tile, timeseries: Graph, heatmap: Heat, table: Rows };

function Panel({ panel, data }) {
  const { x, y, w, h } = panel.gridPos;
  const width = (w * (WIDTH - GAP)) / 24 - GAP;
  const place = { position: 'absolute', left: GAP + (x * (WIDTH - GAP)) / 24, top: HEADER + GAP + y * CELL };
  if (panel.type === 'row') {
    return <div style={{ ...place, fontSize: 16, fontWeight: 500, lineHeight: `${CELL - GAP}px` }}>⌄ {panel.title}</div>;
  }
  const height = h * CELL - GAP;
  const Kind = KINDS[panel.type];
  const frame = { background: theme.colors.background.primary, border: `1px solid ${theme.colors.border.weak}`, borderRadius: 2 };
  return (
    <div style={{ ...place, ...frame, width, height, boxSizing: 'border-box', overflow: 'hidden' }}>
      <div style={{ height: TITLE, lineHeight: `${TITLE}px`, padding: '0 8px', fontSize: 14, fontWeight: 500, whiteSpace: 'nowrap' }}>{panel.title}</div>
      <div style={{ padding: `0 ${PADDING}px ${PADDING}px` }}>
        <Kind panel={panel} data={data} width={width - 2 * PADDING - 2} height={height - TITLE - PADDING - 2} />
      </div>
    </div>
  );
}

function Header({ board }) {
  const pill = { border: `1px solid ${theme.colors.border.medium}`, borderRadius: 2, padding: '3px 8px', fontSize: 12 };
  return (
    <div style={{ display: 'flex', gap: 8, alignItems: 'center', height: HEADER, padding: '4px 8px', boxSizing: 'border-box' }}>
      <div style={{ fontSize: 18, fontWeight: 500, marginRight: 12 }}>{board.title}</div>
      {board.templating.list.map(({ name, label }) => <div key={name} style={pill}><span style={{ color: theme.colors.text.secondary }}>{label}</span> {name === 'datasource' ? 'Prometheus' : 'All'}</div>)}
      <div style={{ flex: 1 }} />
      {board.links.map(({ title }) => <div key={title} style={{ ...pill, color: theme.colors.text.link }}>{title}</div>)}
      <div style={pill}>{clock(span.from, 'YYYY-MM-DD HH:mm:ss')} to {clock(span.to)} UTC</div>
    </div>
  );
}

function Board({ board, data }) {
  const rows = Math.max(...board.panels.map(({ gridPos }) => gridPos.y + gridPos.h));
  return (
    <div id="board" style={{
      position: 'relative', width: WIDTH, height: HEADER + 2 * GAP + rows * CELL, background: theme.colors.background.canvas,
      color: theme.colors.text.primary, fontFamily: theme.typography.fontFamily,
    }}>
      <Header board={board} />
      {board.panels.map((panel) => <Panel key={panel.id} panel={panel} data={data.get(panel.id)} />)}
    </div>
  );
}

async function main() {
  const board = boards[Number(new URLSearchParams(location.search).get('board'))];
  const data = new Map();
  for (const panel of board.panels.filter(({ type }) => type !== 'row')) {
    data.set(panel.id, await framesOf(panel));
  }
  createRoot(document.getElementById('root')).render(<Board board={board} data={data} />);
  await document.fonts.ready;
  // uPlot draws in the frames after the one in which React has rendered.
  requestAnimationFrame(() => setTimeout(() => { window.DRAWN = true; }, 1500));
}

main();
