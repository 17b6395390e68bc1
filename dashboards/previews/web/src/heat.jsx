// A heatmap. Grafana's own is part of the program and not on npm, so this one is ours: the same cells, a dot per exemplar.
import React from 'react';
import { dateTimeFormat, getValueFormat } from '@grafana/data';
import { answer, exemplars, span, theme } from './frames.js';

const MARGIN = { left: 58, right: 74, top: 6, bottom: 22 };
const BLUES = ['#1f2d44', '#23436f', '#2a5f9e', '#3f86c6', '#6faedb', '#a6cfe9', '#d9ebf7'];
const COLUMNS = 60;
const TICKS = 6;

// Prometheus counts everything below an edge; a cell is what lies between two.
function cells(found) {
  const rows = found
    .map(({ metric, values }) => ({ le: Number(metric.le.replace('+Inf', 'Infinity')), values: new Map(values) }))
    .sort((a, b) => a.le - b.le);
  return rows.map(({ le, values }, n) => {
    const below = n ? rows[n - 1].values : new Map();
    return { le, at: [...values].map(([at, value]) => [at * 1000, Number(value) - Number(below.get(at) ?? 0)]) };
  });
}

function binned(rows) {
  const width = (span.to - span.from) / COLUMNS;
  return rows.map(({ le, at }) => {
    const columns = new Array(COLUMNS).fill(0);
    for (const [time, value] of at) {
      const column = Math.min(COLUMNS - 1, Math.floor((time - span.from) / width));
      columns[column] = Math.max(columns[column], value);
    }
    return { le, columns };
  });
}

export function Heat({ panel, width, height }) {
  const refId = panel.targets[0].refId;
  const rows = binned(cells(answer(panel, refId)));
  const most = Math.max(...rows.flatMap(({ columns }) => columns), 1e-9);
  const plot = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
  const cell = { width: plot.width / COLUMNS, height: plot.height / rows.length };
  const y = (index) => MARGIN.top + plot.height - (index + 1) * cell.height;
  const x = (time) => MARGIN.left + ((time - span.from) / (span.to - span.from)) * plot.width;
  const colour = (value) => BLUES[Math.min(BLUES.length - 1, Math.floor(Math.sqrt(value / most) * BLUES.length))];
  const unit = getValueFormat(panel.options.yAxis.unit);
  const name = (le) => (le === Infinity ? '+Inf' : ((f) => f.text + (f.suffix ?? ''))(unit(le)));
  const dots = exemplars(panel, refId).map(({ value, timestamp }) => ({
    at: timestamp * 1000, row: rows.findIndex(({ le }) => Number(value) <= le),
  }));
  const text = { fill: theme.colors.text.secondary, fontSize: 11, fontFamily: theme.typography.fontFamily };
  const empty = rows.every(({ columns }) => columns.every((value) => value <= panel.options.filterValues.le));
  return (
    <svg width={width} height={height}>
      {rows.map(({ le, columns }, index) => (
        <g key={le}>
          <text {...text} x={MARGIN.left - 6} y={y(index) + cell.height / 2 + 4} textAnchor="end">
            {rows.length < 16 || index % 2 === 0 || le === Infinity ? name(le) : ''}
          </text>
          <rect x={MARGIN.left} y={y(index)} width={plot.width} height={cell.height - 1} fill={theme.colors.background.secondary} opacity={0.35} />
          {columns.map((value, column) => value > panel.options.filterValues.le && (
            <rect key={column} x={MARGIN.left + column * cell.width} y={y(index)} width={cell.width - 1} height={cell.height - 1} fill={colour(value)} />
          ))}
        </g>
      ))}
      {dots.filter(({ at, row }) => row >= 0 && at >= span.from && at <= span.to).map(({ at, row }, n) => (
        <circle key={n} cx={x(at)} cy={y(row) + cell.height / 2} r={2.6} fill={panel.options.exemplars.color} stroke="#fff" strokeWidth={0.4} />
      ))}
      {Array.from({ length: TICKS }, (_, n) => span.from + ((n + 0.5) / TICKS) * (span.to - span.from)).map((at) => (
        <text {...text} key={at} x={x(at)} y={height - 6} textAnchor="middle">
          {dateTimeFormat(at, { timeZone: 'utc', format: 'HH:mm:ss' })}
        </text>
      ))}
      {BLUES.map((shade, n) => (
        <rect key={shade} x={width - MARGIN.right + 14} y={MARGIN.top + plot.height * (1 - (n + 1) / BLUES.length)} width={10} height={plot.height / BLUES.length} fill={shade} />
      ))}
      <text {...text} x={width - MARGIN.right + 30} y={MARGIN.top + 10}>{most < 1e-6 ? '' : most.toFixed(1)}</text>
      <text {...text} x={width - MARGIN.right + 30} y={MARGIN.top + plot.height}>0</text>
      {empty && <text {...text} fontSize={13} x={MARGIN.left + plot.width / 2} y={MARGIN.top + plot.height / 2} textAnchor="middle">nothing happened</text>}
    </svg>
  );
}
