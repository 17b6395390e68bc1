// Recorded answers as Grafana's data frames, with the field configuration of their panel applied.
import {
  applyFieldOverrides,
  createTheme,
  FieldConfigOptionsRegistry,
  FieldType,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';

export const theme = createTheme({ colors: { mode: 'dark' } });

const RECORDED = window.RECORDED;
const STANDARD = ['unit', 'min', 'max', 'decimals', 'noValue', 'thresholds', 'mappings', 'color', 'displayName', 'links'];
const CUSTOM = [
  'drawStyle', 'lineInterpolation', 'lineWidth', 'fillOpacity', 'gradientMode', 'showPoints', 'pointSize',
  'spanNulls', 'stacking', 'thresholdsStyle', 'axisPlacement', 'hideFrom', 'width', 'align', 'cellOptions',
];
// What the panels themselves add to a field that says nothing.
const DEFAULTS = {
  timeseries: {
    drawStyle: 'line', lineInterpolation: 'linear', gradientMode: 'none', pointSize: 5, axisPlacement: 'auto',
    hideFrom: { legend: false, tooltip: false, viz: false },
  },
  table: { align: 'auto', cellOptions: { type: 'auto' }, inspect: false },
};

const option = (id, path, isCustom) => ({
  id, path, isCustom, name: id, process: (value) => value, shouldApply: () => true, settings: {},
});
const registry = new FieldConfigOptionsRegistry(() => [
  ...STANDARD.map((id) => option(id, id, false)),
  ...CUSTOM.map((path) => option(`custom.${path}`, path, true)),
]);
standardTransformersRegistry.setInit(() =>
  [standardTransformers.mergeTransformer, standardTransformers.organizeFieldsTransformer].map((transformation) => ({
    id: transformation.id, name: transformation.name, transformation, editor: null,
  })),
);

export const span = { from: RECORDED.from * 1000, to: RECORDED.to * 1000 };
export const annotations = RECORDED.annotations;
export const boards = RECORDED.boards.map((text) => JSON.parse(text));
export const answer = (panel, refId) => RECORDED.answers[`${panel.id}/${refId}`] ?? [];
export const exemplars = (panel, refId) => RECORDED.exemplars[`${panel.id}/${refId}`] ?? [];

const legend = (format, labels) => {
  if (format === '__auto') {
    return Object.entries(labels).filter(([key]) => key !== '__name__').map(([key, value]) => `${key}=${value}`).join(' ') || 'Value';
  }
  return format.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, key) => labels[key] ?? '');
};
const number = (text) => (text === 'NaN' || text === '+Inf' || text === '-Inf' ? null : Number(text));

function series(panel) {
  return panel.targets.flatMap((target) =>
    answer(panel, target.refId).map(({ metric, values }) => {
      const name = legend(target.legendFormat, metric);
      return toDataFrame({
        refId: target.refId,
        name,
        fields: [
          { name: 'Time', type: FieldType.time, values: values.map(([at]) => at * 1000), config: {} },
          {
            name: 'Value', type: FieldType.number, values: values.map(([, value]) => number(value)), labels: metric,
            config: { displayNameFromDS: name },
          },
        ],
      });
    }),
  );
}

function tables(panel) {
  return panel.targets.map((target) => {
    const found = answer(panel, target.refId);
    const labels = [...new Set(found.flatMap(({ metric }) => Object.keys(metric)))].sort();
    const value = panel.targets.length > 1 ? `Value #${target.refId}` : 'Value';
    return toDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: found.map(({ values }) => values[0][0] * 1000), config: {} },
        ...labels.map((label) => ({
          name: label, type: FieldType.string, values: found.map(({ metric }) => metric[label] ?? ''), config: {},
        })),
        { name: value, type: FieldType.number, values: found.map(({ values }) => number(values[0][1])), config: {} },
      ],
    });
  });
}

function configured(panel, data) {
  const defaults = {
    color: panel.type === 'timeseries' ? { mode: 'palette-classic' } : { mode: 'thresholds' },
    ...panel.fieldConfig.defaults,
    custom: { ...DEFAULTS[panel.type], ...panel.fieldConfig.defaults.custom },
  };
  return applyFieldOverrides({
    data, theme, timeZone: 'utc', replaceVariables: (text) => text, fieldConfigRegistry: registry,
    fieldConfig: { ...panel.fieldConfig, defaults },
  });
}

export async function framesOf(panel) {
  if (panel.type !== 'table') {
    return configured(panel, series(panel));
  }
  const found = tables(panel).filter((frame) => frame.length);
  const transformed = await new Promise((resolve) => {
    transformDataFrame(panel.transformations, found, { interpolate: (text) => text }).subscribe(resolve);
  });
  return configured(panel, transformed);
}
